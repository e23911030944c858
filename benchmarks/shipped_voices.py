"""Trains the voices that come with the package.

    python -m benchmarks.shipped_voices --corpus=data/speech

--corpus is a folder as `lokitalk_jax.training.speech_corpus` describes, with a manifest
whose column `weights_may_ship` says "yes" for recordings whose licence lets what is
learned from them be distributed; no others are read. NOTICE names the corpora.
"""

import pathlib

import numpy as np
from absl import app, flags

from lokitalk_jax import process, progress
from lokitalk_jax.data import signals
from lokitalk_jax.speech import clip_fitting, hearing, ridge, voice
from lokitalk_jax.speech.voice import Voice
from lokitalk_jax.training import speech_corpus

KINDS = ("whisper", "phones")


def may_ship(recording: speech_corpus.Recording) -> bool:
    """Whether weights learned from a recording may be distributed."""
    return recording.row.get("weights_may_ship") == "yes"


def train(hears: str, clips, fitted: signals.Fitted) -> Voice:
    """A voice that is fitted to clips from nothing."""
    spec = hearing.spec_of(hears, len(fitted.lip_basis))
    rows = clip_fitting.read_rows(spec, clips)
    lessons = clip_fitting.lessons(clips, rows)
    scale = float(np.median(fitted.lip_scale))
    return Voice(spec, ridge.fit(spec, lessons), fitted.lip_basis, scale)


def main(_) -> None:
    """Trains and writes."""
    with progress.Bar() as bar:
        clips, fitted = speech_corpus.read(_CORPUS.value, accept=may_ship, progress=bar)
    seconds = sum(len(clip.train_frames) for clip in clips) / 25
    print(f"{len(clips)} recordings, {seconds:.0f} s")
    for hears in KINDS:
        path = pathlib.Path(_OUT.value or voice.shipped_path(hears).parent)
        path.mkdir(parents=True, exist_ok=True)
        voice.write(path / f"{hears}.npz", train(hears, clips, fitted))
        print(path / f"{hears}.npz", (path / f"{hears}.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    _CORPUS = flags.DEFINE_string("corpus", None, "Folder of the corpus.")
    _OUT = flags.DEFINE_string("out", "", "To write to; by default the package's.")
    flags.mark_flag_as_required("corpus")
    process.start()
    app.run(main)
