"""Sharpness without a reference: the share of detail that a blur would remove.

Crete, Dolmiere, Ladret and Nicolas 2007, "The blur effect": a picture that is blurred
already loses little by another blur. It works in a mask, and in small frames.
"""

import cv2
import numpy as np

_WIDTH = 9  # pixels of the blur


def detail_lost(frame: np.ndarray) -> np.ndarray:
    """Differences between neighbouring pixels, and the part that a blur removes.

    Args:
      frame: uint8 RGB [H, W, 3].

    Returns:
      float64 [H, W, 2, 2]: differences along x and y, and the part removed of each.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
    parts = []
    for size, step in (((_WIDTH, 1), (0, 1)), ((1, _WIDTH), (1, 0))):
        blurred = cv2.blur(grey, size, borderType=cv2.BORDER_REPLICATE)
        sharp, soft = (np.abs(x - np.roll(x, step, (0, 1))) for x in (grey, blurred))
        for x in sharp, soft:
            x[: step[0], :] = 0
            x[:, : step[1]] = 0
        parts.append(np.stack([sharp, np.maximum(sharp - soft, 0)], -1))
    return np.stack(parts, -1)


def within(detail: np.ndarray, masks: np.ndarray) -> list[float | None]:
    """Sharpness inside each of several masks.

    Args:
      detail: see `detail_lost`.
      masks: [H, W, M], weights of 0 or more.

    Returns:
      in [0, 1], higher is sharper, of the axis that is blurred more; None where there
      is no detail.
    """
    found: list[float | None] = []
    for differences, taken in np.tensordot(masks, detail, ((0, 1), (0, 1))):
        some = (differences > 0).all()
        found.append(float((taken / differences).min()) if some else None)
    return found
