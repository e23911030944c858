"""How well does Audio2Motion predict the lips of a speaker whose lips it has not seen?

    python -m benchmarks.lips_from_speech --data=data/dev --sources=a,b,c+d,e,f
        --corpus=data/speech,data/people --advance=a:40,f:40 --cache=runs/speech_cache

Each source of clips is left out in turn (some hold several clips); Audio2Motion learns
from the others and from corpora (`lokitalk_jax.training.speech_corpus`) without the
recordings whose column `shares_source_with` names a clip of the source, and predicts
the clips left out: as in a file, with all of their sound known (--look-ahead=0), or
with --look-ahead seconds of sound after each frame. With --shipped, the package's voice
predicts instead. With --speakers or --seconds, Audio2Motion learns from the
corpora alone, from that number of speakers and seconds of each, once for all clips.

Scores are of three distances of the lips (inner and outer opening, width): Pearson's
correlation, for the voice as it is; and for the voice adapted to the first two seconds
of the clip, on the rest of it, the concordance correlation (CCC), the ratio of
predicted to true spread and the closures of `lip_distances.closures`; and for the last
eleventh in the style of the rest of the clip and in a neutral one. A JSON line for each
clip, and one for their mean.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import app, flags

from benchmarks import reports, speech_clips
from benchmarks.speech_clips import Clip
from lokitalk_jax import process
from lokitalk_jax.speech import hearing, voice

_FPS = 25


def some(clips: Sequence[Clip], speakers: int, seconds: float) -> list[Clip]:
    """The clips of some speakers, cut to some seconds of each.

    Args:
      clips: of a corpus.
      speakers: their number; 0 takes all. Which they are does not depend on the corpus
        that they come from.
      seconds: of each speaker; 0 takes all.
    """
    names = np.random.default_rng(0).permutation(sorted({c.speaker for c in clips}))
    left = dict.fromkeys(names[: speakers or None], round(seconds * _FPS) or 10**9)
    found = []
    for clip in clips:
        frames = np.flatnonzero(clip.usable)[: left.get(clip.speaker, 0)]
        if len(frames) > 1:
            left[clip.speaker] -= len(frames)
            usable = np.zeros(len(clip.usable), bool)
            usable[frames] = True
            found.append(clip._replace(usable=usable))
    return found


def apart(clips: Sequence[Clip], group: Sequence[str]) -> list[Clip]:
    """The clips that share no source with those named in `group`."""
    return [
        clip
        for clip in clips
        if clip.name not in group
        and not set(clip.row.get("shares_source_with", "").split()) & set(group)
    ]


def trained(clips: Sequence[Clip], known: Mapping[str, np.ndarray]) -> voice.Voice:
    """A voice of clips, whose feature rows are `known`."""
    basis = speech_clips.shared_basis(clips)
    lessons = speech_clips.taught(clips, known, basis)
    return speech_clips.train(_HEARS.value, [*lessons.values()], basis)


def main(_) -> None:
    """Measures, and writes the scores."""
    data, look_ahead = pathlib.Path(_DATA.value), _LOOK_AHEAD.value
    cache = pathlib.Path(_CACHE.value) if _CACHE.value else None
    groups = [source.split("+") for source in _SOURCES.value]
    late = {k: float(v) / 1000 for k, v in (one.split(":") for one in _ADVANCE.value)}
    clips = [
        speech_clips.open_folder(data / name, late.get(name, 0.0))
        for group in groups
        for name in group
    ]
    corpus = []
    if not _SHIPPED.value:
        opened = [speech_clips.open_corpus(one, cache) for one in _CORPUS.value]
        corpus = some(sum(opened, []), _SPEAKERS.value, _SECONDS.value)
    spoken = [clip.spoken for clip in [*clips, *corpus]]
    known = speech_clips.rows(_HEARS.value, spoken, cache)
    found, limited = [], bool(_SPEAKERS.value or _SECONDS.value)
    if limited:
        one = trained(apart(corpus, sum(groups, [])), known)
    for group in groups:
        if _SHIPPED.value:
            one = voice.shipped(_HEARS.value)
        elif not limited:
            one = trained(apart([*clips, *corpus], group), known)
        for clip in clips:
            if clip.name in group:
                rows = known[clip.name]
                row = speech_clips.score(one, clip, rows, look_ahead)
                found.append(row | speech_clips.style_scores(one, clip, rows))
                print(json.dumps(found[-1]), flush=True)
    total = speech_clips.summary(found)
    if corpus:
        total["speakers"] = len({clip.speaker for clip in corpus})
        total["seconds"] = round(sum(clip.usable.sum() for clip in corpus) / _FPS)
    print(json.dumps(total))
    reports.write_json(pathlib.Path(_OUT.value), [*found, total])


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _SOURCES = flags.DEFINE_list(
        "sources", None, "Names of identities, those of one source joined by +."
    )
    _CORPUS = flags.DEFINE_list("corpus", [], "Folders of speech corpora.")
    _ADVANCE = flags.DEFINE_list(
        "advance", [], "NAME:MS, identities whose sound is so much late."
    )
    _HEARS = flags.DEFINE_enum(
        "hears", "whisper", list(hearing.WIDTHS), "Kind of the feature rows."
    )
    _LOOK_AHEAD = flags.DEFINE_float("look_ahead", 0.0, "Seconds; 0: all of the sound.")
    _SHIPPED = flags.DEFINE_bool("shipped", False, "Use the package's voice.")
    _SPEAKERS = flags.DEFINE_integer("speakers", 0, "Of the corpora; 0: all.")
    _SECONDS = flags.DEFINE_float("seconds", 0.0, "Of each speaker; 0: all.")
    _CACHE = flags.DEFINE_string("cache", "", "Folder that keeps tracks and rows.")
    _OUT = flags.DEFINE_string("out", "runs/audio2motion.json", "File of the scores.")
    flags.mark_flags_as_required(["data", "sources"])
    process.start()
    app.run(main)
