"""Seams: steps of brightness along the border of a region that the truth does not have.

The error of a prediction is smooth across a region's border, unless the region was put
in. Its mean within a narrow ring inside the border is compared with that in a ring
outside, in four sectors, as a seam need not go all around. The measure is ours.
"""

import cv2
import numpy as np

_GAP, _RING = 1, 3  # pixels from the border at which a ring begins and ends
_SECTORS = 4
_LEAST = 12  # pixels of each ring in a sector
_REACH = 3  # pixels by which a region is grown to find where it meets another


def error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Difference of the grey levels of frames uint8 RGB [H, W, 3], int16 [H, W]."""
    one, other = (
        cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.int16)
        for x in (truth, prediction)
    )
    return other - one


def border(mask: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Border of a mask [H, W] in [0, 1], where it crosses a half.

    Args:
      mask: of a region.
      other: of another region; only the border with it is returned.

    Returns:
      bool [H, W], the outermost pixels of the region; the frame's own border is none.
    """
    inside = (mask > 0.5).astype(np.uint8)
    edge = inside != cv2.erode(inside, _disc(1))
    edge[[0, -1]] = edge[:, [0, -1]] = False
    if other is not None:
        edge &= cv2.dilate((other > 0.5).astype(np.uint8), _disc(_REACH)) > 0
    return edge


def height(error: np.ndarray, mask: np.ndarray, border: np.ndarray) -> float | None:
    """Height of a prediction's step along a border.

    Args:
      error: see `error`.
      mask: [H, W] in [0, 1], of the region.
      border: bool [H, W], see `border`.

    Returns:
      grey levels of 255, 0 or more; None for a border that is too short.
    """
    rows, columns = np.nonzero(border)
    if not len(rows):
        return None
    turn = np.arctan2(rows - rows.mean(), columns - columns.mean()) / (2 * np.pi)
    sectors = ((turn + 0.5) * _SECTORS).astype(int) % _SECTORS
    near = cv2.dilate(border.astype(np.uint8), _disc(_GAP)) > 0
    steps = []
    for number in range(_SECTORS):
        line = np.zeros(border.shape, np.uint8)
        here = sectors == number
        line[rows[here], columns[here]] = 1
        ring = (cv2.dilate(line, _disc(_RING)) > 0) & ~near
        sides = error[ring & (mask > 0.5)], error[ring & (mask <= 0.5)]
        if min(map(len, sides)) >= _LEAST:
            steps.append(abs(sides[0].mean() - sides[1].mean()))
    return float(np.mean(steps)) if steps else None


def _disc(radius: int) -> np.ndarray:
    size = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
