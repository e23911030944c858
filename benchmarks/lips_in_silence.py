"""Are lips still where nobody speaks?

    python -m benchmarks.lips_in_silence --data=data/dev --identities=a,b,c,d,e,f

The package's voice, adapted to each clip, predicts lips for four seconds of the clip's
sound, two seconds of silence and four more seconds of the sound; and for the same with
white noise 20, 10 and 5 dB below the speech. Scored are the frames of the silence from
0.3 s after its beginning to 0.2 s before its end. Real pauses of the clip, a quarter of
a second or longer, are scored too. A frame is still where its lips move no more from
the frame before than the person's own noise: the movement (root mean square over the
landmarks) in real pauses of the clip that half of the frames exceed, or, without such
pauses, that nine tenths of all frames exceed. A JSON line for each clip and condition.
"""

import json
import pathlib

import numpy as np
from absl import app, flags

from benchmarks import reports, speech_clips
from benchmarks.speech_clips import Clip
from lokitalk_jax import process, structs
from lokitalk_jax.speech import (
    audio2motion,
    lip_limits,
    lips,
    manner,
    pauses,
    spoken_clip,
    voice,
    whisper,
    whisper_weights,
)

_SPEECH, _PAUSE = 4.0, 2.0  # seconds
_AFTER, _BEFORE = 0.3, 0.2  # seconds at the edges of a silence that are not scored
_LEVELS = None, 20, 10, 5  # dB of speech over noise
_FEWEST = 6  # frames of a pause


def movement(lip: np.ndarray, scale: float) -> np.ndarray:
    """Root mean square over landmarks [F - 1], metres, from frame to frame."""
    return scale * np.sqrt((np.diff(lip, axis=0) ** 2).sum(1) / 40)


def paused(sound: np.ndarray, count: int) -> np.ndarray:
    """Bool [F], frames in pauses of a quarter of a second or longer."""
    loudness = spoken_clip.sound_features.features(sound, "loudness")[:, -1]
    times = np.arange(count) * audio2motion.ROWS_PER_FRAME
    quiet = pauses.of_sound(loudness, times)[:, 0] > 0.9
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
    found = np.zeros(count, bool)
    for first, stop in edges.reshape(-1, 2):
        found[first:stop] = stop - first >= _FEWEST
    return found


def rows_of(sound: np.ndarray) -> np.ndarray:
    """Feature rows of a sound, see `spoken_clip.rows`."""
    found = whisper.features(whisper_weights.load(), sound).repeat(2, axis=0)
    return spoken_clip.with_loudness(found, sound)


def measure(clip: Clip, one: voice.Voice) -> list[dict]:
    """Scores of a clip in each condition."""
    spoken, fitted = speech_clips.in_basis(clip, one.lip_basis)
    scale, sound = float(fitted.lip_scale[0]), spoken_clip.samples(spoken)
    known = rows_of(sound)
    own = manner.adapted(one, spoken, known, scale)
    limits = lip_limits.of_clip(fitted, spoken)
    quiet = paused(sound, len(spoken.lip)) & clip.usable
    true = movement(spoken.lip, scale)[clip.usable[1:] & clip.usable[:-1]]
    noise, pauses_seen = float(np.quantile(true, 0.1)), quiet[1:] & quiet[:-1]
    if pauses_seen.sum() >= _FEWEST:
        noise = float(np.median(movement(spoken.lip, scale)[pauses_seen]))
    found = []

    def add(condition: str, moved: np.ndarray) -> None:
        row = {"clip": clip.name, "condition": condition, "frames": len(moved)}
        row["still"] = round(float((moved <= noise).mean()), 3)
        row["movement_mm"] = round(1e3 * float(moved.mean()), 4)
        found.append(row | {"noise_mm": round(1e3 * noise, 4)})

    if pauses_seen.sum() >= _FEWEST:
        lip = lips.of_rows(own, limits, known, len(spoken.lip))
        add("real pauses", movement(lip, scale)[pauses_seen])
    rate, rng = structs.AUDIO_RATE, np.random.default_rng(0)
    some = sound[: int(_SPEECH * rate)]
    joined = np.concatenate([some, np.zeros(int(_PAUSE * rate), "f4"), some])
    power = float(np.mean(some**2))
    first = len(some) / rate
    inside = slice(
        round((first + _AFTER) * structs.FPS),
        round((first + _PAUSE - _BEFORE) * structs.FPS),
    )
    for level in _LEVELS:
        heard = joined
        if level is not None:
            spread = np.sqrt(power / 10 ** (level / 10))
            heard = joined + np.float32(spread * rng.normal(size=len(joined)))
        count = len(heard) * structs.FPS // rate
        lip = lips.of_rows(own, limits, rows_of(heard), count)
        name = "inserted silence" + (f", noise {level} dB" if level else "")
        add(name, movement(lip, scale)[inside])
    return found


def main(_) -> None:
    """Measures, and writes the scores."""
    one, rows = voice.shipped("whisper"), []
    for name in _IDENTITIES.value:
        clip = speech_clips.open_folder(pathlib.Path(_DATA.value) / name)
        for row in measure(clip, one):
            rows.append(row)
            print(json.dumps(row), flush=True)
    for condition in dict.fromkeys(row["condition"] for row in rows):
        own = [row for row in rows if row["condition"] == condition]
        still = float(
            np.average([r["still"] for r in own], weights=[r["frames"] for r in own])
        )
        total = {"clip": "all", "condition": condition, "still": round(still, 3)}
        rows.append(total | {"frames": sum(row["frames"] for row in own)})
        print(json.dumps(rows[-1]))
    reports.write_json(pathlib.Path(_OUT.value), rows)


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _IDENTITIES = flags.DEFINE_list("identities", None, "Names of identities.")
    _OUT = flags.DEFINE_string("out", "runs/lips_in_silence.json", "Of the scores.")
    flags.mark_flags_as_required(["data", "identities"])
    process.start()
    app.run(main)
