"""Maps in colours, to judge by eye; uint8 RGB [H, W, 3]."""

import cv2
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media.image_grid import to_uint8

# A colour of the Okabe-Ito palette for each region, distinct for colour-blind
# readers too.
REGION_COLOURS = {
    "lip": (213, 94, 0),
    "eye": (0, 158, 115),
    "head": (86, 180, 233),
    "torso": (240, 228, 66),
}


def colour_depth(
    depth: np.ndarray, alpha: np.ndarray, nearest: float, farthest: float
) -> np.ndarray:
    """Colours a depth map, near yellow to far blue, and black where it is empty.

    Args:
      depth: [H, W], metres; ignored where `alpha` is 0.
      alpha: [H, W], opacity in [0, 1]; fades the colour.
      nearest: depth of the near end of the scale; an argument, so that colours are the
        same in all frames of a video.
      farthest: depth of the far end.

    Returns:
      uint8 [H, W, 3].

    Raises:
      ValueError: the scale is empty.
    """
    if not nearest < farthest:
        raise ValueError(f"nearest={nearest} must be below farthest={farthest}")
    closeness = (farthest - np.where(alpha > 0, depth, farthest)) / (farthest - nearest)
    return to_uint8(_viridis(closeness) * np.clip(alpha, 0, 1)[..., None])


def colour_regions(maps: np.ndarray) -> np.ndarray:
    """Colours region maps by `REGION_COLOURS`, black where no region is.

    Args:
      maps: [H, W, 4] in [0, 1], in the order of `structs.REGIONS`. Where they
        overlap, the lip lies over the eye, over the head, over the torso.

    Returns:
      uint8 [H, W, 3].
    """
    image = np.zeros((*maps.shape[:2], 3))
    for index in reversed(range(len(structs.REGIONS))):
        weight = np.clip(maps[..., index, None], 0, 1)
        colour = np.array(REGION_COLOURS[structs.REGIONS[index]]) / 255
        image += weight * (colour - image)
    return to_uint8(image)


def colour_magnitude(magnitude: np.ndarray, largest: float) -> np.ndarray:
    """Colours lengths from dark blue (0) to yellow (`largest` and more).

    Args:
      magnitude: [H, W], 0 or more, such as an offset in metres or an error.
      largest: the top of the scale, in the same unit.

    Returns:
      uint8 [H, W, 3].

    Raises:
      ValueError: `largest` is not positive.
    """
    if not largest > 0:
        raise ValueError(f"largest={largest} must be positive")
    return to_uint8(_viridis(magnitude / largest))


def _viridis(value: np.ndarray) -> np.ndarray:
    table = cv2.applyColorMap(to_uint8(value), cv2.COLORMAP_VIRIDIS)
    return table[..., ::-1] / 255
