"""Checks of image files: whether they are complete, of one size, and repeats."""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.doctor.finding import ERROR, WARNING, Finding, listed
from lokitalk_jax.media import image_file
from lokitalk_jax.preparation import frame_change

_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


def read(path: pathlib.Path, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """An image [H, W, C], or None where the file is missing, truncated or none.

    A truncated JPEG decodes, grey from there on, so the end of the file is checked.
    """
    if not path.is_file():
        return None
    data = path.read_bytes()
    end = _PNG_END if path.suffix == ".png" else _JPEG_END
    return image_file.decode(data, flags) if end in data[-32:] else None


class Faults:
    """Collects the faults of a folder of images, and reports each kind once."""

    def __init__(self, where: str, remedy: str):
        """Starts without faults.

        Args:
          where: the folder, for the findings.
          remedy: for the findings.
        """
        self._where, self._remedy = where, remedy
        self._unreadable: list[int] = []
        self._shapes: dict[str, list[int]] = {}

    def add(
        self, index: int, image: np.ndarray | None, shape: tuple
    ) -> np.ndarray | None:
        """Checks an image.

        Args:
          index: its number.
          image: by `read`, [H, W, C] or [H, W].
          shape: that it should have.

        Returns:
          The image, or None where it cannot be used.
        """
        if image is None:
            self._unreadable.append(index)
            return None
        if image.dtype != np.uint8 or image.shape != shape:
            kind = f"{image.dtype} {_size(image.shape)} instead of {_size(shape)}"
            self._shapes.setdefault(kind, []).append(index)
            return None
        return image

    def findings(self) -> Iterator[Finding]:
        """The collected faults."""
        found = []
        if self._unreadable:
            numbers = listed(self._unreadable)
            seen = f"missing, truncated or not an image: {numbers}"
            found.append(("unreadable_picture", seen))
        for kind, indices in self._shapes.items():
            found.append(("picture_size", f"{listed(indices)}: {kind}"))
        for check, seen in found:
            yield Finding(ERROR, check, self._where, seen, self._remedy)


class Repeats:
    """Finds frames that repeat the frame before them, as preparation does."""

    def __init__(self):
        self._before: tuple[int, np.ndarray] | None = None
        self._numbers: list[int] = []
        self._changes: list[float] = []

    def add(self, index: int, frame: np.ndarray) -> None:
        """Adds the next readable frame, uint8 [H, W, 3], and its number."""
        thumbnail = frame_change.image_thumbnail(frame)
        change = np.inf
        if self._before is not None and self._before[0] == index - 1:
            change, _ = frame_change.change(self._before[1], thumbnail)
        self._before = index, thumbnail
        self._numbers.append(index)
        self._changes.append(change)

    def repeated(self) -> list[int]:
        """Numbers of the repeats."""
        if not self._changes:
            return []
        repeats = frame_change.repeats(np.array(self._changes))
        return np.array(self._numbers)[repeats].tolist()

    def findings(
        self, flagged: np.ndarray, where: str, remedy: str
    ) -> Iterator[Finding]:
        """Reports repeats that are not flagged, bool [F]."""
        count = len(self._numbers)
        hidden = [i for i in self.repeated() if i < len(flagged) and not flagged[i]]
        if len(hidden) > 0.05 * count:
            seen = f"{len(hidden)} of {count} frames repeat the frame before them and "
            seen += f"are not marked: {listed(hidden)}"
            yield Finding(WARNING, "unmarked_repeats", where, seen, remedy)


def _size(shape: tuple) -> str:
    height, width, *channels = shape
    names = {(): "grey", (3,): "RGB", (4,): "RGBA"}
    return f"{width}x{height} {names.get(tuple(channels), channels)}"
