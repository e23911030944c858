"""The identity folder: the one layout that preparation writes and training reads.

<id>/identity.json        see `Meta`
     frames/000000.jpg    RGB (or .png)
     masks/000000.png     uint8 soft person mask
     labels/000000.png    uint8: 0 background, 1 torso and neck, 2 head
     background.png       RGBA: the static plate, alpha 255 where it was seen
                          and 0 where it was inpainted
     tracks.npz           see `Tracks`
     audio.wav            16 kHz mono; absent for a silent clip
     audio_features.npz   log_mel [time, 80] f32 and log_mel_rate (rows a second)
     preview.mp4          the tracks drawn over the video
"""

import dataclasses
import json
import os
import pathlib
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import files, structs

SCHEMA = 1
BACKGROUND, TORSO, HEAD = 0, 1, 2  # values in labels/


class Tracks(NamedTuple):
    """What was tracked in F frames; rows of frames with `valid` False mean nothing.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres.
      landmarks: float32 [F, 478, 3], pixels at the folder's size, and relative depth
        in the same unit.
      lips: float32 [F, 40, 3], lip landmarks in the head frame, metres.
      eye_ratio: float32 [F, 2], height over width of the left and right eye contour,
        raw. Left and right are the person's own.
      valid: bool [F], False where no face was found.
      duplicate: bool [F], True where the frame repeats the one before it.
      torso_to_camera: float32 [F, 4, 4] or None; where the torso itself is tracked.
    """

    head_to_camera: np.ndarray
    landmarks: np.ndarray
    lips: np.ndarray
    eye_ratio: np.ndarray
    valid: np.ndarray
    duplicate: np.ndarray
    torso_to_camera: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Meta:
    """The contents of identity.json.

    Attributes:
      height, width: size of the frames, pixels.
      focal: focal length, pixels, the same for x and y.
      principal: principal point (x, y), pixels.
      frame_count: F, faceless and repeated frames included.
      train_frames: frames [0, train_frames) train, the rest are held out.
      source: name, sha256, start and end (seconds) of the video.
      versions: of the tools that wrote the folder.
      quality: figures of the preparation, such as reprojection_px.
    """

    height: int
    width: int
    focal: float
    principal: tuple[float, float]
    frame_count: int
    train_frames: int
    source: dict = dataclasses.field(default_factory=dict)
    versions: dict = dataclasses.field(default_factory=dict)
    quality: dict = dataclasses.field(default_factory=dict)
    fps: int = structs.FPS
    audio_rate: int | None = structs.AUDIO_RATE
    schema: int = SCHEMA


def train_count(frame_count: int) -> int:
    """Frames before the split: the first 10/11 train, the rest are held out."""
    return frame_count * 10 // 11


class IdentityFolder:
    """Reads an identity folder.

    Attributes:
      path: the folder.
      name: the folder's own name, which is the identity's.
      meta: what identity.json holds.
    """

    def __init__(self, path: os.PathLike | str):
        """Opens `path`.

        Raises:
          ValueError: it is not an identity folder, or of another schema version.
        """
        self.path = pathlib.Path(path)
        self.name = self.path.resolve().name
        manifest = self.path / "identity.json"
        if not manifest.is_file():
            raise ValueError(
                f"{self.path} is not an identity folder: it holds no identity.json; "
                "make one with prepare.py --video=... --out=..."
            )
        try:
            fields = json.loads(manifest.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{manifest} is not valid JSON: {error}") from error
        if fields.get("schema") != SCHEMA:
            raise ValueError(
                f"{manifest} has schema {fields.get('schema')!r}, this program reads "
                f"{SCHEMA}; prepare the video again"
            )
        fields["principal"] = tuple(fields["principal"])
        self.meta = Meta(**fields)

    def tracks(self) -> Tracks:
        """Loads tracks.npz."""
        with np.load(self.path / "tracks.npz") as stored:
            return Tracks(**{k: stored[k] for k in Tracks._fields if k in stored})

    def frame(self, index: int) -> np.ndarray:
        """RGB uint8 [H, W, 3] of frame `index`."""
        path = self.path / "frames" / f"{index:06d}.jpg"
        if not path.exists():
            path = path.with_suffix(".png")
        return _read(path, cv2.IMREAD_COLOR)[..., ::-1]

    def mask(self, index: int) -> np.ndarray:
        """Person mask, uint8 [H, W]."""
        return _read(self.path / "masks" / f"{index:06d}.png", cv2.IMREAD_GRAYSCALE)

    def labels(self, index: int) -> np.ndarray:
        """Labels, uint8 [H, W]."""
        return _read(self.path / "labels" / f"{index:06d}.png", cv2.IMREAD_GRAYSCALE)

    def plate(self) -> tuple[np.ndarray, np.ndarray]:
        """Background plate, RGB uint8 [H, W, 3], and where it was seen, bool [H, W]."""
        image = _read(self.path / "background.png", cv2.IMREAD_UNCHANGED)
        return image[..., 2::-1], image[..., 3] > 127

    @property
    def audio_path(self) -> pathlib.Path | None:
        """The audio file, or None for a silent clip."""
        path = self.path / "audio.wav"
        return path if path.exists() else None


def _read(path: pathlib.Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise ValueError(f"{path} is missing or not an image; prepare the clip again")
    return image


def write_tracks(folder: pathlib.Path, tracks: Tracks) -> None:
    """Writes tracks.npz."""
    arrays = {k: v for k, v in tracks._asdict().items() if v is not None}
    with files.replacing(folder / "tracks.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


def write_meta(folder: pathlib.Path, meta: Meta) -> None:
    """Writes identity.json; last, since a folder without it is not an identity."""
    with files.replacing(folder / "identity.json") as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(meta), indent=2) + "\n")


def find_identities(root: os.PathLike | str) -> list[IdentityFolder]:
    """The identity folders at `root`: itself, or its direct subfolders by name.

    Raises:
      ValueError: there is none.
    """
    root = pathlib.Path(root)
    if (root / "identity.json").is_file():
        return [IdentityFolder(root)]
    found = sorted(root.glob("*/identity.json")) if root.is_dir() else []
    if not found:
        raise ValueError(
            f"no identity folder at {root}: neither it nor a folder in it holds "
            "identity.json; make one with prepare.py --video=... --out=..."
        )
    return [IdentityFolder(path.parent) for path in found]
