"""The window of the frame that is kept, fixed for the clip."""

from typing import NamedTuple

import cv2
import numpy as np

# Of the mesh's height (brow to chin): head and shoulders fill a square this large,
# with the face's centre this far down.
_SIDE = 2.3
_CENTRE = 0.47
# Hair, ears and chin lie this far outside the mesh; they are never cut off.
_HAIR = 0.25


class Window(NamedTuple):
    """A rectangle in pixels of the upright frame, and the size it is resized to.

    It may extend beyond the frame, whose edge is then repeated.

    Attributes:
      left, top, width, height: of the rectangle.
      out_width, out_height: of the result.
    """

    left: int
    top: int
    width: int
    height: int
    out_width: int
    out_height: int

    def of_box(self, box: np.ndarray) -> np.ndarray:
        """A box [4], left, top, right and bottom of the frame, in the result."""
        scale = np.array([self.out_width / self.width, self.out_height / self.height])
        return (box.reshape(2, 2) - [self.left, self.top]).ravel() * np.tile(scale, 2)


def whole(height: int, width: int, size: int) -> Window:
    """The whole frame, its longest side `size`, both sides even."""
    scale = size / max(height, width)
    even = [max(2, 2 * round(side * scale / 2)) for side in (width, height)]
    return Window(0, 0, width, height, *even)


def head_and_shoulders(boxes: np.ndarray, height: int, width: int, size: int) -> Window:
    """A square that holds head and shoulders in all frames.

    It is moved into the frame, and shrunk to it while the head stays inside.

    Args:
      boxes: [M, 4], left, top, right, bottom of the face mesh in frames of the clip.
      height: of the frame, pixels.
      width: of the frame, pixels.
      size: side of the result, pixels.
    """
    face = np.median(boxes[:, 3] - boxes[:, 1])
    # Percentiles, since a wrong detection must not move the window.
    left, top = np.percentile(boxes[:, :2], 1, axis=0) - _HAIR * face
    right, bottom = np.percentile(boxes[:, 2:], 99, axis=0) + _HAIR * face
    head = max(right - left, bottom - top)
    side = max(_SIDE * face, head)
    room = min(height, width)
    side = round(max(head, room) if side > room else side)
    x = (left + right) / 2 - side / 2
    y = (top + bottom) / 2 - _CENTRE * side
    return Window(
        _inside(x, side, width), _inside(y, side, height), side, side, size, size
    )


def _inside(begin: float, side: int, room: int) -> int:
    if side > room:
        return (room - side) // 2
    return int(np.clip(round(begin), 0, room - side))


def cut_out(rgb: np.ndarray, window: Window) -> np.ndarray:
    """RGB uint8 [out_height, out_width, 3] of `window`."""
    height, width = rgb.shape[:2]
    left, top = window.left, window.top
    right, bottom = left + window.width, top + window.height
    part = rgb[max(top, 0) : bottom, max(left, 0) : right]
    beyond = (max(-top, 0), max(bottom - height, 0))
    beyond += (max(-left, 0), max(right - width, 0))
    if any(beyond):
        part = cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE)
    size = window.out_width, window.out_height
    if size == (window.width, window.height):
        return np.ascontiguousarray(part)
    shrinks = window.out_width < window.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(part), size, interpolation=interpolation)
