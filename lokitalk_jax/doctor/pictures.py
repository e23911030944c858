"""Picture files: whether they are whole, of one size, and repeat each other."""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.doctor.finding import ERROR, WARNING, Finding, listed
from lokitalk_jax.media import image_file
from lokitalk_jax.prepare import frame_change

_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


def read(path: pathlib.Path, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """A picture, or None where the file is missing, cut off or no picture.

    A JPEG that is cut off decodes, grey from there on, so its end is looked at.
    """
    if not path.is_file():
        return None
    data = path.read_bytes()
    end = _PNG_END if path.suffix == ".png" else _JPEG_END
    if end not in data[-32:]:
        return None
    return image_file.decode(data, flags)


class Faults:
    """Gathers what is wrong with a folder of pictures, so that it is told once."""

    def __init__(self, where: str, remedy: str):
        """Takes the folder's name and what to do about faults of it."""
        self._where, self._remedy = where, remedy
        self._bad: list[int] = []
        self._odd: dict[str, list[int]] = {}

    def add(self, index: int, picture: np.ndarray | None, wanted: tuple) -> bool:
        """Looks at a picture.

        Args:
          index: its number.
          picture: what `read` gave.
          wanted: shape that it should have.

        Returns:
          whether it can be used.
        """
        if picture is None:
            self._bad.append(index)
            return False
        if picture.dtype != np.uint8 or picture.shape != wanted:
            kind = f"{picture.dtype} {_size(picture.shape)} instead of {_size(wanted)}"
            self._odd.setdefault(kind, []).append(index)
            return False
        return True

    def findings(self) -> Iterator[Finding]:
        """What was gathered."""
        if self._bad:
            yield Finding(
                ERROR,
                "unreadable_picture",
                self._where,
                f"missing, cut off or no picture: {listed(self._bad)}",
                self._remedy,
            )
        for kind, indices in self._odd.items():
            yield Finding(
                ERROR,
                "picture_size",
                self._where,
                f"{listed(indices)}: {kind}",
                self._remedy,
            )


class Repeats:
    """Finds frames that repeat the one before, as preparation does."""

    def __init__(self):
        """Starts before the first frame."""
        self._before: tuple[int, np.ndarray] | None = None
        self._numbers: list[int] = []
        self._changes: list[float] = []

    def add(self, index: int, frame: np.ndarray) -> None:
        """Looks at the next readable frame, uint8 [H, W, 3], and its number."""
        small = frame_change.image_thumbnail(frame)
        change = np.inf
        if self._before is not None and self._before[0] == index - 1:
            change, _ = frame_change.change(self._before[1], small)
        self._before = index, small
        self._numbers.append(index)
        self._changes.append(change)

    def repeated(self) -> list[int]:
        """Numbers of the frames that repeat the one before."""
        if not self._changes:
            return []
        repeats = frame_change.repeats(np.array(self._changes))
        return np.array(self._numbers)[repeats].tolist()

    def findings(
        self, flagged: np.ndarray, where: str, remedy: str
    ) -> Iterator[Finding]:
        """What is repeated, beside what is said to be, bool [F]."""
        seen = len(self._numbers)
        hidden = [i for i in self.repeated() if i < len(flagged) and not flagged[i]]
        if len(hidden) > 0.05 * seen:
            yield Finding(
                WARNING,
                "unmarked_repeats",
                where,
                f"{len(hidden)} of {seen} frames repeat the one before and are "
                f"not marked: {listed(hidden)}",
                remedy,
            )


def _size(shape: tuple) -> str:
    height, width, *channels = shape
    names = {(): "grey", (3,): "RGB", (4,): "RGBA"}
    return f"{width}x{height} {names.get(tuple(channels), channels)}"
