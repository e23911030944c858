"""Lips of unseen speakers of speech corpora, five folds by speaker, by corpus.

    python -m benchmarks.lips_by_speaker --corpus=data/speech,data/people
        --cache=runs/speech_cache

The speakers of each folder are split into five folds. A fold is predicted by a voice of
the other four and of the other folders' recordings of corpora (column `corpus` of the
manifest) that this folder has none of, since folders number their speakers each in its
own way and may hold the same person.
Scores are those of
`benchmarks.lips_from_speech`; those of a speaker are the means over their clips, and a
JSON line is the mean over the speakers of a corpus, with its 95% interval.
"""

import json
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks import reports, speech_clips
from benchmarks.speech_clips import Clip
from lokitalk_jax import process
from lokitalk_jax.speech import hearing

_FOLDS = 5


def folds(clips: Sequence[Clip]) -> dict[str, int]:
    """The fold of each speaker."""
    names = np.random.default_rng(0).permutation(sorted({c.speaker for c in clips}))
    return {name: n % _FOLDS for n, name in enumerate(names)}


def split(
    folders: Sequence[Sequence[Clip]],
) -> list[tuple[int, list[Clip], list[Clip]]]:
    """Number of the folder, clips to test on and to train on, of each fold."""
    found = []
    for n, clips in enumerate(folders):
        fold, kinds = folds(clips), {corpus_of(clip) for clip in clips}
        others = [
            clip
            for m, more in enumerate(folders)
            for clip in more
            if m != n and corpus_of(clip) not in kinds
        ]
        for k in range(_FOLDS):
            test = [clip for clip in clips if fold[clip.speaker] == k]
            train = [clip for clip in clips if fold[clip.speaker] != k]
            found.append((n, test, train + others))
    return found


def corpus_of(clip: Clip) -> str:
    """Name of its corpus by the manifest, or ""."""
    return clip.row.get("corpus", "")


def by_speaker(rows: Sequence[dict]) -> list[dict]:
    """Means over the clips of each speaker."""
    names = dict.fromkeys(row["speaker"] for row in rows)
    found = []
    for name in names:
        own = [row for row in rows if row["speaker"] == name]
        one = {"speaker": name, "corpus": own[0]["corpus"]}
        for key in speech_clips.MEANS:
            values = [row[key] for row in own if row.get(key) is not None]
            if values:
                one[key] = float(np.mean(values))
        found.append(one)
    return found


def main(_) -> None:
    """Measures, and writes the scores."""
    cache = pathlib.Path(_CACHE.value) if _CACHE.value else None
    folders = [speech_clips.open_corpus(one, cache) for one in _CORPUS.value]
    everything = sum(folders, [])
    known = speech_clips.rows(_HEARS.value, [c.spoken for c in everything], cache)
    basis = speech_clips.shared_basis(everything)
    lessons = speech_clips.taught(everything, known, basis)
    rows = []
    for place, test, train in split(folders):
        chosen = [lessons[clip.name] for clip in train]
        one = speech_clips.train(_HEARS.value, chosen, basis)
        for clip in test:
            row = speech_clips.score(one, clip, known[clip.name])
            row["speaker"] = f"{place} {clip.speaker}"
            row["corpus"] = corpus_of(clip)
            rows.append(row)
    speakers = by_speaker(rows)
    kinds = sorted({one["corpus"] for one in speakers})
    found = [
        speech_clips.summary([o for o in speakers if o["corpus"] == kind], kind)
        for kind in kinds
    ]
    found.append(speech_clips.summary(speakers, "all speakers"))
    found.append(speech_clips.summary(found[:-1], "mean of corpora"))
    for line in found:
        print(json.dumps(line))
    reports.write_json(pathlib.Path(_OUT.value), [*rows, *found])


if __name__ == "__main__":
    _CORPUS = flags.DEFINE_list("corpus", None, "Folders of speech corpora.")
    _HEARS = flags.DEFINE_enum(
        "hears", "whisper", list(hearing.WIDTHS), "Kind of the feature rows."
    )
    _CACHE = flags.DEFINE_string("cache", "", "Folder that keeps tracks and rows.")
    _OUT = flags.DEFINE_string("out", "runs/lips_by_speaker.json", "Of the scores.")
    flags.mark_flags_as_required(["corpus"])
    process.start()
    app.run(main)
