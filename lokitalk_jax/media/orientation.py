"""How a player turns and mirrors the frames of a video, by its display matrix."""

import math
from typing import Any, NamedTuple, Self

import av
import numpy as np
from av.sidedata.sidedata import Type


class Orientation(NamedTuple):
    """The turns that make a stored picture upright.

    Attributes:
      mirrored: left and right change places first.
      turns: then, quarter turns counterclockwise.
    """

    mirrored: bool = False
    turns: int = 0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """The orientation of a decoded frame."""
        side_data: Any = frame.side_data
        try:
            stored = bytes(side_data[Type.DISPLAYMATRIX])
        except KeyError:
            return cls()
        # x' = a x + c y and y' = b x + d y, with y down.
        a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].astype(float)
        mirrored = a * d < b * c
        if mirrored:
            a, b = -a, -b
        return cls(mirrored, round(-math.atan2(b, a) / (math.pi / 2)) % 4)

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def apply(self, image: np.ndarray) -> np.ndarray:
        """An upright image of a stored one, [H, W, 3]."""
        image = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(image, self.turns))
