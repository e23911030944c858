"""Is the offset between sound and lips found, and is wrong sound called unsure?

    python -m benchmarks.sound_offsets --corpus=data/speech --cache=runs/speech_cache
        --calibrate
    python -m benchmarks.sound_offsets --data=data/dev --identities=a,b,c,d
        --advance=a:40 --corpus=data/people --speakers=10 --cache=runs/speech_cache

The sound of each clip is shifted by -300 to 300 ms against its lips, and replaced by
that of each of four other clips; `speech.lip_sync` estimates the offset with the
package's voice. Clips that the voice was trained on are left out. With --lengths clips
are cut to these seconds. --calibrate prints how often right and wrong sound are sure
for several thresholds; those in use were chosen by it, and are scored on other clips.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import app, flags

from benchmarks import reports, speech_clips
from benchmarks.shipped_voices import may_ship
from benchmarks.speech_clips import Clip
from lokitalk_jax import process
from lokitalk_jax.speech import audio2motion, lip_sync, voice

_SHIFTS = (-300, -200, -120, -60, 60, 120, 200, 300)  # ms
_WRONG = 4
_NEAR = 0.04


class Case(NamedTuple):
    """An estimate: by how much the sound was shifted; None where it is wrong."""

    clip: str
    shift: float | None
    offset: lip_sync.Offset

    @property
    def found(self) -> bool:
        """Whether the offset is that of the shift, within a frame."""
        return self.shift is not None and abs(self.offset.seconds - self.shift) <= _NEAR


def cases(clips: Sequence[Clip], rows, one: voice.Voice, seconds: float) -> list[Case]:
    """Estimates for all clips, cut to `seconds` where that is not 0."""
    found = []
    for n, clip in enumerate(clips):
        usable = clip.usable.copy()
        if seconds:
            usable[np.flatnonzero(usable)[round(25 * seconds) :]] = False
        if usable.sum() < 50:
            continue
        spoken, _ = speech_clips.in_basis(clip._replace(usable=usable), one.lip_basis)
        times = np.arange(len(spoken.lip)) * audio2motion.ROWS_PER_FRAME

        def add(
            name: str, shift: float | None, spoken=spoken, times=times, usable=usable
        ):
            at = times - round(100 * (shift or 0.0))
            seen = audio2motion.windows(one.spec, rows[name][:, :-1], at)
            lip = audio2motion.apply(one.params, seen)
            offset = lip_sync.best(lip, spoken.lip, usable)
            found.append(Case(spoken.name, shift, offset))

        for shift in _SHIFTS:
            add(clip.name, shift / 1000)
        for other in range(1, _WRONG + 1):
            add(clips[(n + other * len(clips) // (_WRONG + 1)) % len(clips)].name, None)
    return found


def table(found: Sequence[Case]) -> dict:
    """Shares of the cases that were found, that were sure, and of sure wrong sound."""
    right = [case for case in found if case.shift is not None]
    wrong = [case for case in found if case.shift is None]
    sure = [case for case in right if case.offset.sure]
    return {
        "clips": len({case.clip for case in found}),
        "found": round(float(np.mean([case.found for case in right])), 3),
        "sure": round(len(sure) / len(right), 3),
        "found_where_sure": round(float(np.mean([case.found for case in sure])), 3),
        "wrong_sound_sure": round(float(np.mean([c.offset.sure for c in wrong])), 3),
    }


def calibrate(found: Sequence[Case]) -> None:
    """Prints shares of sure right and wrong sound by threshold."""

    def share(chosen: Sequence[Case], chance: float, lead: float) -> float:
        return float(
            np.mean(
                [
                    c.offset.correlation >= chance / c.offset.frames**0.5
                    and c.offset.lead >= lead / c.offset.frames**0.5
                    for c in chosen
                ]
            )
        )

    right = [case for case in found if case.found]
    wrong = [case for case in found if case.shift is None]
    for chance in (3.0, 3.5, 4.0, 4.5, 5.0):
        for lead in (1.0, 1.5, 2.0, 2.5, 3.0):
            good, bad = (share(one, chance, lead) for one in (right, wrong))
            print(f"chance {chance} lead {lead}: right {good:.3f} wrong {bad:.3f}")


def main(_) -> None:
    """Measures, and writes the shares."""
    cache = pathlib.Path(_CACHE.value) if _CACHE.value else None
    late = {k: float(v) / 1000 for k, v in (one.split(":") for one in _ADVANCE.value)}
    clips = [
        speech_clips.open_folder(pathlib.Path(_DATA.value) / n, late.get(n, 0.0))
        for n in _IDENTITIES.value
    ]
    more: list[Clip] = []
    for folder in _CORPUS.value:
        more += speech_clips.open_corpus(folder, cache, lambda one: not may_ship(one))
    speakers = np.random.default_rng(0).permutation(sorted({c.speaker for c in more}))
    chosen = set(speakers[: _SPEAKERS.value or None])
    clips += [clip for clip in more if clip.speaker in chosen]
    one = voice.shipped("whisper")
    rows = speech_clips.rows("whisper", [clip.spoken for clip in clips], cache)
    lines = []
    for length in _LENGTHS.value:
        found = cases(clips, rows, one, float(length))
        lines.append({"seconds": float(length) or "all"} | table(found))
        print(json.dumps(lines[-1]), flush=True)
        if _CALIBRATE.value:
            calibrate(found)
    reports.write_json(pathlib.Path(_OUT.value), lines)


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", "", "Folder of identity folders.")
    _IDENTITIES = flags.DEFINE_list("identities", [], "Names of identities.")
    _ADVANCE = flags.DEFINE_list("advance", [], "NAME:MS, see lips_from_speech.")
    _CORPUS = flags.DEFINE_list("corpus", [], "Folders of speech corpora.")
    _SPEAKERS = flags.DEFINE_integer("speakers", 0, "Of the corpora; 0: all.")
    _LENGTHS = flags.DEFINE_list("lengths", ["0"], "Seconds of each clip; 0: all.")
    _CALIBRATE = flags.DEFINE_bool("calibrate", False, "Print thresholds.")
    _CACHE = flags.DEFINE_string("cache", "", "Folder that keeps tracks and rows.")
    _OUT = flags.DEFINE_string("out", "runs/sound_offsets.json", "Of the shares.")
    process.start()
    app.run(main)
