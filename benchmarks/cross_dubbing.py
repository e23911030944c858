"""Can the speech of any identity drive the lips of any other?

    python -m benchmarks.cross_dubbing --workdir=runs/six --out=runs/dub

The sound of each identity's clip drives the avatar of every other one, held in its rest
pose. The score is the correlation, and its lag, of the opening of the mouth in the
rendered frames with that in the speaker's own video, both by a face detector. The last
--frames of each clip are rendered; of these Audio2Motion was not trained on the
held-out ones. With --sound, sound files drive the avatars instead, and the opening is
compared with the loudness of the sound, as there is no video of it.
"""

import json
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks import held_out_scores, mouth, reports
from lokitalk_jax import process
from lokitalk_jax.avatar import backdrop, frame_stream
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.avatar.speaking import SpeechMotion
from lokitalk_jax.media import image_grid, sound_file
from lokitalk_jax.speech import audio2motion, sound_features, spoken_clip

_LAGS = range(-8, 9)
_SOURCES = Sources(eye="open", head="still")


class Speech(NamedTuple):
    """Sound that drives avatars.

    Attributes:
      samples: float32 [S], 16 kHz mono.
      frames: numbers of the frames to render.
      truth: [F], the opening of the speaker's mouth in these frames, or the loudness.
    """

    samples: np.ndarray
    frames: range
    truth: np.ndarray


def of_clip(run: OpenRun, name: str, count: int) -> Speech:
    """The last `count` frames of the clip of an identity."""
    record = run.record(name)
    frames = range(record.frame_count)[-count:]
    data = held_out_scores.open_clip(run, record)
    truth = mouth.openings(data.frames[i] for i in frames)
    return Speech(spoken_clip.samples(spoken_clip.of_record(record)), frames, truth)


def of_file(path: pathlib.Path) -> Speech:
    """A sound file, with its loudness at each frame."""
    samples = np.concatenate(list(sound_file.open_sound(path).read()))
    rows = sound_features.features(samples)
    loudness = rows[:: audio2motion.ROWS_PER_FRAME, -1]
    return Speech(samples, range(len(loudness)), loudness)


def rendered(run: OpenRun, name: str, speech: Speech) -> Iterator[np.ndarray]:
    """Pictures of an avatar that speaks, uint8 [H, W, 3]."""
    motion = SpeechMotion(run, name, _SOURCES)
    moved = [*motion.push(speech.samples), *motion.finish()]
    moved = moved[speech.frames.start : speech.frames.stop]
    avatar = run.avatar(name)
    plate = backdrop.find("plate", avatar.record)
    for maps in frame_stream.render(avatar.renderer, moved, plate):
        yield image_grid.to_uint8(np.asarray(maps.rgb))


def scores(openings: np.ndarray, truth: np.ndarray) -> dict:
    """Agreement of the rendered mouth [F] with the true one, or with the loudness."""
    truth = truth[: len(openings)]
    found = mouth.lagged_correlations(openings, truth, _LAGS)
    best = int(np.argmax(found))
    shuffled = np.random.default_rng(0).permutation(truth)
    return {
        "correlation": round(found[_LAGS.index(0)], 3),
        "best": round(found[best], 3),
        "lag_frames": _LAGS[best],
        "shuffled": round(mouth.correlation(openings, shuffled), 3),
        "frames": len(openings),
    }


def main(_) -> None:
    """Renders and measures."""
    run, out = OpenRun(pathlib.Path(_WORKDIR.value)), pathlib.Path(_OUT.value)
    if _SOUND.value:
        speeches = {
            path.stem: of_file(path) for path in map(pathlib.Path, _SOUND.value)
        }
    else:
        speeches = {n: of_clip(run, n, _FRAMES.value) for n in run.identities}
    identities = _IDENTITIES.value or run.identities
    pairs = [(name, speaker) for name in identities for speaker in speeches]
    rows = []
    for name, speaker in tqdm(pairs, "dubbing", unit="avatar"):
        speech = speeches[speaker]
        openings = mouth.openings(rendered(run, name, speech))
        row = {"identity": name, "speaker": speaker}
        rows.append(row | scores(openings, speech.truth))
        print(json.dumps(rows[-1]), flush=True)
    reports.write_json(out / "dub.json", rows)
    others = [row for row in rows if row["identity"] != row["speaker"]]
    for key in ("correlation", "best", "lag_frames"):
        print(key, "median", np.median([row[key] for row in others]))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run of several identities.")
    _OUT = flags.DEFINE_string("out", "runs/dub", "Folder of the scores.")
    _FRAMES = flags.DEFINE_integer("frames", 150, "Last frames of each clip.")
    _SOUND = flags.DEFINE_list("sound", [], "Sound files instead of the clips.")
    _IDENTITIES = flags.DEFINE_list("identities", [], "To render; all by default.")
    flags.mark_flag_as_required("workdir")
    process.start()
    app.run(main)
