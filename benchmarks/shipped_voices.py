"""Trains the voices that come with the package.

    python -m benchmarks.shipped_voices --corpus=data/speech,data/people
        --cache=runs/speech_cache

--corpus names folders as `lokitalk_jax.training.speech_corpus` describes, with a
manifest whose column `weights_may_ship` says "yes" for recordings whose licence lets
what is learned from them be distributed; no others are read. NOTICE names the corpora.
"""

import pathlib

from absl import app, flags

from benchmarks import speech_clips
from lokitalk_jax import process
from lokitalk_jax.speech import voice
from lokitalk_jax.training import speech_corpus

KINDS = ("whisper", "phones")


def may_ship(recording: speech_corpus.Recording) -> bool:
    """Whether weights learned from a recording may be distributed."""
    return recording.row.get("weights_may_ship") == "yes"


def main(_) -> None:
    """Trains and writes."""
    cache = pathlib.Path(_CACHE.value) if _CACHE.value else None
    clips = [
        clip
        for folder in _CORPUS.value
        for clip in speech_clips.open_corpus(folder, cache, may_ship)
    ]
    seconds = sum(clip.usable.sum() for clip in clips) / 25
    print(f"{len(clips)} recordings, {seconds:.0f} s")
    basis = speech_clips.shared_basis(clips)
    for hears in KINDS:
        known = speech_clips.rows(hears, [clip.spoken for clip in clips], cache)
        lessons = speech_clips.taught(clips, known, basis)
        path = pathlib.Path(_OUT.value or voice.shipped_path(hears).parent)
        path.mkdir(parents=True, exist_ok=True)
        path = path / f"{hears}.npz"
        voice.write(path, speech_clips.train(hears, [*lessons.values()], basis))
        print(path, path.stat().st_size, "bytes", flush=True)


if __name__ == "__main__":
    _CORPUS = flags.DEFINE_list("corpus", None, "Folders of corpora.")
    _CACHE = flags.DEFINE_string("cache", "", "Folder that keeps tracks and rows.")
    _OUT = flags.DEFINE_string("out", "", "To write to; by default the package's.")
    flags.mark_flag_as_required("corpus")
    process.start()
    app.run(main)
