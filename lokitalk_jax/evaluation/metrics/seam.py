"""Seams: steps of brightness along the border of a region that the truth does not have.

Along a border the gradients of prediction and truth are added up across a narrow band;
what the prediction has more of, less the same beside the band, is the height of its
step. An edge that lies a little off, noise or blur give about zero.
"""

import cv2
import numpy as np

_HALF = 2  # pixels on either side of a border
_BESIDE = 7  # pixels; the comparison reaches so far
_HEAD_REACH = 3  # pixels by which head and torso are grown to find where they meet


def gradients(frame: np.ndarray) -> np.ndarray:
    """Length of the gradient of the grey level, levels a pixel, float32 [H, W].

    Args:
      frame: uint8 RGB [H, W, 3].
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, y = (
        cv2.Sobel(grey, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))
    )
    return np.hypot(x, y)


def border(mask: np.ndarray) -> np.ndarray:
    """Border of a mask [H, W] in [0, 1] where it crosses a half; bool [H, W]."""
    inside = np.uint8(mask > 0.5)
    edge = inside != cv2.erode(inside, _disc(1))
    # The frame's own border is none.
    edge[[0, -1]] = edge[:, [0, -1]] = False
    return edge


def meeting(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where the masks of two regions meet, such as head and torso; bool [H, W]."""
    near = cv2.dilate(np.uint8(other > 0.5), _disc(_HEAD_REACH))
    return border(one) & (near > 0)


def height(
    truth: np.ndarray, prediction: np.ndarray, border: np.ndarray
) -> float | None:
    """Height of the prediction's step along a border.

    Args:
      truth, prediction: see `gradients`.
      border: bool [H, W].

    Returns:
      grey levels of 255; about 0 without a seam, below it for a border that is softer
      than the true one; None without a border.
    """
    if not border.any():
        return None
    line = np.uint8(border)
    band = cv2.dilate(line, _disc(_HALF)) > 0
    beside = (cv2.dilate(line, _disc(_BESIDE)) > 0) & ~band
    more = prediction - truth
    excess = more[band].mean() - (more[beside].mean() if beside.any() else 0)
    return float(excess * (2 * _HALF + 1))


def _disc(radius: int) -> np.ndarray:
    size = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
