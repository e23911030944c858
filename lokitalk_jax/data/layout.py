"""The layout of an identity folder: the one description for writers and readers.

<identity>/identity.json        `Meta`; written last, so a folder with it is complete
           frames/000000.jpg    RGB; .png where frames are stored without loss
           masks/000000.png     soft mask of the person, uint8
           labels/000000.png    `BACKGROUND`, `TORSO` (with the neck) or `HEAD`, uint8
           background.png       RGBA, the plate: the static background; alpha is 255
                                where some frame showed it, 0 where it was inpainted
           tracks.npz           `Tracks`
           audio.wav            16 kHz, mono, 16 bits; absent for a silent clip
           preview.mp4          the tracks drawn over the video
           cache/               images at training size, see `frame_cache`
           .prepare/            results of finished stages, while preparation runs

Frames are 25 a second, and their numbers never shift: a frame without a face and a
frame that repeats its predecessor keep their place and are flagged in `Tracks`.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from lokitalk_jax import face_mesh, structs

SCHEMA = 1

META = "identity.json"
FRAMES, MASKS, LABELS = IMAGES = "frames", "masks", "labels"
PLATE = "background.png"
TRACKS = "tracks.npz"
SOUND = "audio.wav"
PREVIEW = "preview.mp4"
CACHE = "cache"
WORKSPACE = ".prepare"

# Values of label images.
BACKGROUND, TORSO, HEAD = LABEL_VALUES = 0, 1, 2


def image(folder: pathlib.Path, kind: str, index: int, suffix=".png") -> pathlib.Path:
    """Path of image `index`, where `kind` is one of `IMAGES`."""
    return folder / kind / f"{index:06d}{suffix}"


def frame(folder: pathlib.Path, index: int) -> pathlib.Path:
    """Path of an existing frame, whichever its format."""
    jpeg = image(folder, FRAMES, index, ".jpg")
    return jpeg if jpeg.exists() else jpeg.with_suffix(".png")


def is_identity(folder: pathlib.Path) -> bool:
    """Whether a folder is a complete identity folder."""
    return (folder / META).is_file()


class Tracks(NamedTuple):
    """Tracks of F frames; rows of frames with `valid` False mean nothing.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres.
      landmarks: float32 [F, 478, 3], pixels at the folder's size, and relative depth
        in the same unit.
      lips: float32 [F, 40, 3], lip landmarks in the head frame, metres.
      eye_ratio: float32 [F, 2], height over width of the left and right eye contour.
        Left and right are the person's.
      valid: bool [F], False where no face was found.
      duplicate: bool [F], True where the frame repeats the frame before it.
      torso_to_camera: float32 [F, 4, 4]; None where the torso is not tracked.
    """

    head_to_camera: np.ndarray
    landmarks: np.ndarray
    lips: np.ndarray
    eye_ratio: np.ndarray
    valid: np.ndarray
    duplicate: np.ndarray
    torso_to_camera: np.ndarray | None = None


# Type and shape of a row of each array of `Tracks`.
TRACK_ROWS = {
    "head_to_camera": (np.float32, (4, 4)),
    "landmarks": (np.float32, (face_mesh.LANDMARK_COUNT, 3)),
    "lips": (np.float32, (len(face_mesh.LIPS), 3)),
    "eye_ratio": (np.float32, (2,)),
    "valid": (np.bool_, ()),
    "duplicate": (np.bool_, ()),
    "torso_to_camera": (np.float32, (4, 4)),
}

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Meta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of identity.json.

    Attributes:
      height, width: size of the frames, pixels.
      focal: focal length, pixels, the same for x and y.
      principal: principal point (x, y), pixels.
      frame_count: F, with faceless and repeated frames.
      train_frames: frames [0, train_frames) train, the others are held out.
      source: name, sha256, start and end (seconds) of the video.
      versions: of the tools that wrote the folder.
      quality: figures of the preparation, such as reprojection_px.
      fps: frames a second.
      audio_rate: of the sound, Hz; None for a silent clip.
      schema: version of this layout.
    """

    height: _Count
    width: _Count
    focal: _Positive
    principal: tuple[float, float]
    frame_count: _Count
    train_frames: _Count
    source: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    quality: dict[str, Any] = {}
    fps: int = structs.FPS
    audio_rate: int | None = structs.AUDIO_RATE
    schema: int = SCHEMA


def train_count(frame_count: int) -> int:
    """Number of training frames: the first 10/11."""
    return frame_count * 10 // 11


def split(valid: np.ndarray) -> int:
    """Number of training frames of a clip, so that frames with a face are held out.

    Args:
      valid: bool [F], frames with a face.
    """
    count, seen = train_count(len(valid)), np.flatnonzero(valid)
    if 2 * (seen >= count).sum() >= len(valid) - count:
        return count
    return int(seen[train_count(len(seen))])


class Fault(ValueError):
    """A file that differs from this description.

    Attributes:
      kind: a short name that stays the same, for programs.
    """

    def __init__(self, kind: str, seen: str):
        super().__init__(seen)
        self.kind = kind


class _Version(msgspec.Struct):
    schema: Any = None


def decode_meta(data: bytes) -> Meta:
    """Reads the contents of identity.json.

    Raises:
      Fault: they are not JSON, a field is missing, unknown, of another type or out of
        range, or the schema is another one.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).schema
        if version != SCHEMA:
            seen = f"schema {version!r}, this program reads {SCHEMA}"
            raise Fault("schema", seen)
        meta = msgspec.json.decode(data, type=Meta)
    except msgspec.ValidationError as error:
        raise Fault("manifest", str(error)) from error
    except msgspec.DecodeError as error:
        raise Fault("manifest", f"not valid JSON ({error})") from error
    count, train = meta.frame_count, meta.train_frames
    if train >= count:
        raise Fault("split", f"train_frames is {train} of {count} frames")
    if meta.fps != structs.FPS:
        raise Fault("fps", f"{meta.fps} frames a second instead of {structs.FPS}")
    if meta.audio_rate not in (None, structs.AUDIO_RATE):
        seen = f"audio_rate is {meta.audio_rate} instead of {structs.AUDIO_RATE}"
        raise Fault("sound_rate", seen)
    return meta


def encode_meta(meta: Meta) -> bytes:
    """The contents of identity.json."""
    return msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n"


def array_faults(arrays: Mapping[str, np.ndarray], count: int) -> Iterator[Fault]:
    """Compares the arrays of tracks.npz with `TRACK_ROWS`.

    Args:
      arrays: by name, [F, ...].
      count: F, frames according to identity.json.
    """
    for name, (dtype, shape) in TRACK_ROWS.items():
        if name not in arrays:
            if name not in Tracks._field_defaults:
                yield Fault("tracks_missing", f"no {name}")
            continue
        array, wanted = arrays[name], (count, *shape)
        if array.dtype != dtype or array.shape[1:] != shape:
            seen = f"{name} is {array.dtype} {array.shape}"
            seen += f" instead of {np.dtype(dtype)} {wanted}"
            yield Fault("tracks_type", seen)
        elif len(array) != count:
            yield Fault("tracks_length", f"{name} has {len(array)} rows, not {count}")


def value_faults(tracks: Tracks) -> Iterator[Fault]:
    """Finds valid frames whose tracks are not finite."""
    for name, array in tracks._asdict().items():
        if array is None:
            continue
        finite = np.isfinite(array).reshape(len(array), -1).all(1)
        bad = np.flatnonzero(~finite & tracks.valid)
        if len(bad):
            seen = f"{name} is not finite in frame {bad[0]}"
            seen += f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            yield Fault("not_finite", f"{seen}, marked valid")
