"""The layout of a folder of ER-NeRF, SyncTalk or TalkingGaussian ("peers").

<folder>/ori_imgs/0.jpg             frames
         ori_imgs/0.lms             68 landmarks, a line "x y" each, pixels
         gt_imgs/0.jpg              the person over the background
         torso_imgs/0.png           RGBA, the torso
         parsing/0.png              parsing map, see `PARSING`
         bc.jpg                     the background
         aud.wav                    16 kHz, mono
         aud_ds.npy and others      audio features, see `audio_features`
         transforms_train.json      `Transforms` of the training frames
         transforms_val.json        `Transforms` of the held-out frames
         au.csv                     OpenFace's action units (ER-NeRF)
         bs.npy                     52 blendshapes a frame (SyncTalk)
"""

import json
import math
import pathlib
from typing import Any

import msgspec

from lokitalk_jax.data import layout

FRAMES, OVER_PLATE, TORSOS, PARSING_MAPS = (
    "ori_imgs",
    "gt_imgs",
    "torso_imgs",
    "parsing",
)
PLATE = "bc.jpg"
SOUND = "aud.wav"
FEATURES = "aud*.npy"
TRANSFORMS = ("transforms_train.json", "transforms_val.json")
ACTION_UNITS = "au.csv"
BLENDSHAPES = "bs.npy"

# RGB of parsing maps, and our labels.
PARSING = {
    (255, 255, 255): layout.BACKGROUND,
    (255, 0, 0): layout.TORSO,
    (0, 255, 0): layout.TORSO,  # neck
    (0, 0, 255): layout.HEAD,
}
# Inside of the mouth, in maps of TalkingGaussian only.
MOUTH_PARSING = {(100, 100, 100): layout.HEAD, (0, 0, 0): layout.HEAD}


def image(folder: pathlib.Path, kind: str, index: int) -> pathlib.Path:
    """Where image `index` is written, of one of the four subfolders."""
    suffix = ".png" if kind in (TORSOS, PARSING_MAPS) else ".jpg"
    return folder / kind / f"{index}{suffix}"


def landmarks(folder: pathlib.Path, index: int) -> pathlib.Path:
    """Path of the landmarks of frame `index`."""
    return folder / FRAMES / f"{index}.lms"


def images(folder: pathlib.Path, kind: str) -> dict[int, pathlib.Path]:
    """Images that are there, by number, where `kind` is one of the four subfolders.

    Some programs pad the numbers with zeros, and some store frames as PNG.
    """
    return numbered(folder / kind, ".jpg", ".jpeg", ".png")


def numbered(folder: pathlib.Path, *suffixes: str) -> dict[int, pathlib.Path]:
    """Files whose names are numbers, in the order of these."""
    found = [p for p in folder.glob("*") if p.suffix.lower() in suffixes]
    found = [p for p in found if p.stem.isascii() and p.stem.isdigit()]
    return {int(p.stem): p for p in sorted(found, key=lambda p: int(p.stem))}


def is_peer(folder: pathlib.Path) -> bool:
    """Whether a folder has this layout."""
    return (folder / TRANSFORMS[0]).exists() or (folder / FRAMES).is_dir()


class FramePose(msgspec.Struct):
    """Pose of the camera in one frame.

    Attributes:
      img_id: number of the frame.
      transform_matrix: 4 rows of 4 numbers, camera to head, metres.
      aud_id: number of the frame's audio features.
    """

    img_id: int
    transform_matrix: list[list[float]]
    aud_id: Any = None


class Transforms(msgspec.Struct):
    """The contents of one of the two files of poses.

    Attributes:
      focal_len: focal length, pixels.
      cx, cy: principal point, pixels.
      frames: poses.
    """

    focal_len: float
    cx: float
    cy: float
    frames: list[FramePose]


def read_transforms(path: pathlib.Path) -> Transforms:
    """Reads a file of poses.

    Raises:
      Fault: the file is missing or damaged, or a field is missing, of another type, or
        not a length that a camera can have.
    """
    try:
        # Python's reader, since these programs write NaN, which is not JSON.
        content = json.loads(path.read_text("utf-8-sig"))
        read = msgspec.convert(content, Transforms, strict=False)
    except FileNotFoundError as error:
        raise layout.Fault("transforms", "there is no such file") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise layout.Fault("transforms", f"cannot be read ({error})") from error
    for name in ("focal_len", "cx", "cy"):
        value = getattr(read, name)
        if not (math.isfinite(value) and (value > 0 or name != "focal_len")):
            raise layout.Fault("transforms", f"{name} is {value}")
    return read


def write_transforms(path: pathlib.Path, transforms: Transforms) -> None:
    """Writes a file of poses."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(transforms), indent=1))
