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

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.cross_reenactment import correlation, opening
from lokitalk_jax import files, process
from lokitalk_jax.avatar import backdrop, video_file
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.avatar.speaking import SpeechMotion
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_grid, sound_file
from lokitalk_jax.prepare import face_model, faces
from lokitalk_jax.speech import audio2motion, sound_features, spoken_clip

_LAGS = range(-8, 9)
_SOURCES = Sources(eye="open", head="still")


def openings(frames) -> np.ndarray:
    """Openings of the mouth [F] of pictures, uint8 [H, W, 3] each."""
    with faces.FaceDetector(face_model.find()) as detector:
        return np.array([opening(detector, frame) for frame in frames])


def rendered(run: Run, name: str, heard: np.ndarray, frames: range):
    """Pictures of a portrait that speaks, of some frames of the sound."""
    speaking = SpeechMotion(run, name, _SOURCES)
    moved = [*speaking.push(heard), *speaking.finish()][frames.start : frames.stop]
    avatar = run.avatar(name)
    plate = backdrop.find("plate", avatar.record)
    for maps in video_file.stream(avatar.renderer, moved, plate):
        yield image_grid.to_uint8(np.clip(np.asarray(maps.rgb), 0, 1))


def lagged(told: np.ndarray, true: np.ndarray) -> list[float]:
    """Correlation at each of `_LAGS`: `told` that many frames later."""
    count = min(len(told), len(true))
    edge = max(_LAGS)
    inside = slice(edge, count - edge)
    return [
        correlation(np.roll(told[:count], lag)[inside], true[:count][inside])
        for lag in _LAGS
    ]


def loudness(heard: np.ndarray) -> np.ndarray:
    """Loudness of the sound at each frame [F]."""
    return sound_features.features(heard)[:: audio2motion.ROWS_PER_FRAME, -1]


def row(record: str, source: str, told: np.ndarray, true: np.ndarray) -> dict:
    """Figures of one render."""
    found = lagged(told, true)
    best = int(np.argmax(found))
    return {
        "portrait": record,
        "voice": source,
        "correlation": round(found[list(_LAGS).index(0)], 3),
        "best": round(found[best], 3),
        "lag_frames": _LAGS[best],
        "other_order": round(
            correlation(told, np.random.default_rng(0).permutation(true)[: len(told)]),
            3,
        ),
        "frames": len(told),
    }


def main(_) -> None:
    """Renders and measures."""
    run, out = Run(pathlib.Path(_WORKDIR.value)), pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    voices = {}
    for path in map(pathlib.Path, _SOUND.value):
        heard = np.concatenate(list(sound_file.read(path)))
        level = loudness(heard)
        voices[path.stem] = heard, range(len(level)), level
    for name in [] if voices else run.identities:
        record = run.record(name)
        frames = range(record.frame_count)[-_FRAMES.value :]
        data = Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)
        true = openings(data.frames[i] for i in frames)
        voices[name] = spoken_clip.samples(spoken_clip.of_record(record)), frames, true
    portraits = _PORTRAITS.value or run.identities
    pairs = [(p, v) for p in portraits for v in voices]
    rows = []
    for name, source in tqdm(pairs, "dubbing", unit="render"):
        heard, frames, true = voices[source]
        told = openings(rendered(run, name, heard, frames))
        rows.append(row(name, source, told, true[: len(told)]))
        print(json.dumps(rows[-1]), flush=True)
    with files.replacing(out / "dub.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    others = [r for r in rows if r["portrait"] != r["voice"]]
    for key in ("correlation", "best", "lag_frames"):
        print(key, "median", np.median([r[key] for r in others]))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run of several people.")
    _OUT = flags.DEFINE_string("out", "runs/dub", "Figures.")
    _FRAMES = flags.DEFINE_integer("frames", 150, "Last ones of each clip.")
    _SOUND = flags.DEFINE_list("sound", [], "Sound files instead of the clips.")
    _PORTRAITS = flags.DEFINE_list("portraits", [], "Whom to render; all by default.")
    flags.mark_flag_as_required("workdir")
    process.start()
    app.run(main)
