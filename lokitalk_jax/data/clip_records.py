"""Records of the clips in a run, so that rendering needs only the run.

<run>/identities/<id>/portrait.npz   camera, poses, signals, frames, see `ClipRecord`
                      plate.png      the background plate at the training size
                      audio.wav      the sound of the clip, where it has one
"""

import json
import pathlib
import shutil
from collections.abc import Collection
from typing import Any, NamedTuple

import cv2
import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax.data import npz_file, signals
from lokitalk_jax.data.dataset import LEAST_SIZE, Dataset
from lokitalk_jax.media import image_file

_ARRAYS = ("head_to_camera", "rest_pose", "train_frames", "test_frames")

_SIGNAL_SHAPES = {
    "lip": (None,),
    "eye": (len(structs.EYE_REST),),
    "head": (6,),
    "torso": (6 * len(structs.TORSO_LAGS),),
}
_SHAPES = {
    "size": (2,),
    "intrinsics": (3,),
    "head_to_camera": (None, 4, 4),
    "rest_pose": (4, 4),
    "train_frames": (None,),
    "test_frames": (None,),
} | {f"rest_{k}": shape for k, shape in _SIGNAL_SHAPES.items()}


class ClipRecord(NamedTuple):
    """One identity of a run, F frames of its clip.

    Attributes:
      name: of the identity.
      source: the identity folder.
      camera: of the training images.
      head_to_camera: float32 [F, 4, 4], metres.
      signals: of all frames, leaves [F, ...].
      rest: of one frame: lips at their mean, eyes open, head and torso still.
      rest_pose: float32 [4, 4], the mean `head_to_camera`.
      train_frames, test_frames: frame numbers.
      plate: uint8 [H, W, 3].
      audio: the clip's sound, or None.
    """

    name: str
    source: pathlib.Path
    camera: structs.Camera
    head_to_camera: np.ndarray
    signals: structs.Signals
    rest: structs.Signals
    rest_pose: np.ndarray
    train_frames: np.ndarray
    test_frames: np.ndarray
    plate: np.ndarray
    audio: pathlib.Path | None

    @property
    def frame_count(self) -> int:
        """F."""
        return len(self.head_to_camera)


def make(data: Dataset, fitted: signals.Fitted, tracked: structs.Signals) -> ClipRecord:
    """The record of a clip.

    Args:
      data: the clip.
      fitted: the signals of at least this identity.
      tracked: signals of all frames of the clip, by `signals.apply`.
    """
    return ClipRecord(
        name=data.name,
        source=data.folder.path.resolve(),
        camera=data.camera,
        head_to_camera=data.tracks.head_to_camera,
        signals=tracked,
        rest=signals.rest(fitted, data.name),
        rest_pose=fitted.mean_pose[fitted.index(data.name)].astype(np.float32),
        train_frames=data.train_frames,
        test_frames=data.test_frames,
        plate=np.asarray(data.plate),
        audio=data.folder.audio_path,
    )


def resized(record: ClipRecord, size: int) -> ClipRecord:
    """The record with images of `size` pixels along the longest side.

    Raises:
      ValueError: `size` is less than 16.
    """
    if size < LEAST_SIZE:
        raise ValueError(f"size={size} pixels is too small; give at least {LEAST_SIZE}")
    camera = record.camera.resized(size)
    shrunk = size < max(record.camera.shape)
    plate = cv2.resize(
        np.ascontiguousarray(record.plate),
        camera.shape[::-1],
        interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_CUBIC,
    )
    return record._replace(camera=camera, plate=plate)


def save(workdir: pathlib.Path, record: ClipRecord) -> None:
    """Writes the record of an identity into a run."""
    target = workdir / "identities" / record.name
    target.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "size": np.array(record.camera.shape),
        "intrinsics": record.camera.intrinsics,
        "source": np.array(json.dumps(str(record.source))),
    }
    arrays |= {name: getattr(record, name) for name in _ARRAYS}
    arrays |= {f"signals_{k}": v for k, v in record.signals._asdict().items()}
    arrays |= {f"rest_{k}": v for k, v in record.rest._asdict().items()}
    image_file.write(target / "plate.png", record.plate)
    if record.audio:
        with files.replacing(target / "audio.wav") as temporary:
            shutil.copyfile(record.audio, temporary)
    with files.replacing(target / "portrait.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


def load_all(workdir: pathlib.Path, besides: Collection[str] = ()) -> list[ClipRecord]:
    """Reads all records of a run, except those of some names."""
    names = sorted(p.parent.name for p in workdir.glob("identities/*/portrait.npz"))
    return [load(workdir, name) for name in names if name not in besides]


def load(workdir: pathlib.Path, name: str) -> ClipRecord:
    """Reads the record of an identity from a run.

    Raises:
      ValueError: the run has no such identity.
    """
    target = workdir / "identities" / name
    if not (target / "portrait.npz").is_file():
        known = sorted(p.parent.name for p in workdir.glob("identities/*/portrait.npz"))
        raise ValueError(
            f"identity={name} is not in {workdir}, which holds "
            f"{', '.join(known) or 'none'}"
        )
    path = target / "portrait.npz"
    try:
        arrays = npz_file.read(path)
        frames = arrays["head_to_camera"].shape[:1]
        shapes = _SHAPES | {
            f"signals_{k}": (*frames, *v) for k, v in _SIGNAL_SHAPES.items()
        }
        npz_file.refuse_other(arrays, shapes)
        source = pathlib.Path(json.loads(str(arrays["source"])))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); run the training of {workdir} again, which "
            "writes it"
        ) from error

    def stored_signals(prefix: str) -> structs.Signals:
        return structs.Signals(
            **{k: arrays[f"{prefix}_{k}"] for k in structs.Signals._fields}
        )

    audio = target / "audio.wav"
    height, width = arrays["size"].tolist()
    return ClipRecord(
        name=name,
        source=source,
        camera=structs.Camera(height, width, arrays["intrinsics"]),
        signals=stored_signals("signals"),
        rest=stored_signals("rest"),
        plate=image_file.read_rgb(target / "plate.png"),
        audio=audio if audio.is_file() else None,
        **{name: arrays[name] for name in _ARRAYS},
    )
