"""Frames of a source, cut out, cut off, scaled or coded; and panels of a strip."""

import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.media import frame_source, recoding
from lokitalk_jax.media.frame_source import FrameSource

_GAP = 2  # columns of one colour that may lie in a picture
_SAME = 24  # levels by which pixels of one colour may differ after encoding


class FrameView(NamedTuple):
    """A source whose frames are changed as they are read.

    Attributes:
      source: the source.
      box: (top, bottom, left, right) of the part that is shown, pixels; None shows all.
      first: number of the first frame.
      count: number of frames; None for all from there on.
      size: (height, width) to which they are scaled; None leaves their size.
      factor: rate factor by which they are coded, see `recoding`; None leaves them.
    """

    source: FrameSource
    box: tuple[int, int, int, int] | None = None
    first: int = 0
    count: int | None = None
    size: tuple[int, int] | None = None
    factor: int | None = None

    @property
    def path(self) -> pathlib.Path:
        """Of the source."""
        return self.source.path

    @property
    def fps(self) -> float | None:
        """Frames a second of the source; None for a folder."""
        return self.source.fps

    def frames(self) -> Iterator[np.ndarray]:
        """Frames, RGB uint8 [H, W, 3]."""
        stop = None if self.count is None else self.first + self.count
        found = itertools.islice(self.source.frames(), self.first, stop)
        shown = map(self._shown, found)
        if self.factor is None:
            return shown
        return recoding.recoded(shown, self.factor)

    def _shown(self, frame: np.ndarray) -> np.ndarray:
        if self.box is not None:
            top, bottom, left, right = self.box
            frame = np.ascontiguousarray(frame[top:bottom, left:right])
        if self.size is None or frame.shape[:2] == self.size:
            return frame
        smaller = self.size[0] < frame.shape[0]
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        return cv2.resize(frame, self.size[::-1], interpolation=how)


def panels(path: str | os.PathLike, count: int) -> list[FrameView]:
    """Panels of a video that shows several pictures next to each other.

    The strip is cut into equal cells, and these lose the borders of one colour that all
    of them have.

    Raises:
      ValueError: it cannot be cut into `count` cells, a cell shows nothing, or each
        shows several pictures.
    """
    source = frame_source.open_source(path)
    first = next(iter(source.frames()), None)
    if first is None:
        raise ValueError(f"{path} holds no frame; write it again")
    height, width = first.shape[:2]
    if count < 2 or width % count:
        raise ValueError(
            f"{path} is {width} pixels wide, which panels={count} does not divide into "
            "cells; give the number of pictures that it shows next to each other"
        )
    cell = width // count
    cells = first.reshape(height, count, cell, 3).astype(int)
    other = np.abs(cells - cells[0, 0, 0]).max(-1) > _SAME
    rows, columns = np.flatnonzero(other.any((1, 2))), np.flatnonzero(other.any((0, 1)))
    if not len(rows):
        raise ValueError(
            f"the first frame of {path} has one colour, so the pictures of "
            f"panels={count} cannot be found in it; cut empty frames off the beginning"
        )
    if 0 < rows[0] and rows[-1] < height - 1 and all(map(_has_gap, other.any(0))):
        raise ValueError(
            f"panels={count} cuts {path} into cells of several pictures with a gap "
            "between them; give the number of pictures that it shows next to each other"
        )
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    boxes = [
        (int(top), int(bottom), k * cell + int(left), k * cell + int(right))
        for k in range(count)
    ]
    return [FrameView(source, box) for box in boxes]


def _has_gap(filled: np.ndarray) -> bool:
    """Whether columns, bool [W], that are filled have a gap between them."""
    inner = np.flatnonzero(filled)
    return bool(len(inner) and np.diff(inner).max(initial=0) > _GAP)
