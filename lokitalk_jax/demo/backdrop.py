"""Backgrounds of the demo cast."""

import numpy as np
from scipy import ndimage

from lokitalk_jax.demo.looks import SHIRTS

_WALLS = np.array(
    [
        (202, 214, 222),
        (226, 214, 198),
        (196, 214, 200),
        (216, 204, 222),
        (222, 222, 214),
    ]
)


def paint_background(seed: int, index: int, size: int) -> np.ndarray:
    """A static, blurred wall with objects, RGB float32 [size, size, 3]."""
    rng = np.random.default_rng([seed, index, 23])
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    wall = _WALLS[(index + seed) % len(_WALLS)] / 255 * rng.uniform(0.85, 1.0)
    image = wall * (1.06 - 0.22 * y - 0.12 * x)[..., None]
    for _ in range(rng.integers(3, 6)):
        colour = SHIRTS[rng.integers(len(SHIRTS)), rng.integers(2)] / 255
        colour = 0.45 * colour + 0.55 * wall
        at = np.array([rng.choice([rng.uniform(0, 0.3), rng.uniform(0.7, 1)]), 0])
        at[1] = rng.uniform(0.05, 0.7)
        half = rng.uniform(0.05, 0.15, 2)
        box = np.maximum(np.abs(x - at[0]) / half[0], np.abs(y - at[1]) / half[1])
        disc = np.hypot(x - at[0], y - at[1]) / half[0]
        inside = (box if rng.random() < 0.6 else disc) < 1
        image[inside] = colour * (1.05 - 0.15 * y[inside])[:, None]
    texture = ndimage.gaussian_filter(rng.standard_normal((size, size)), size / 40)
    image *= 1 + 0.012 * (texture / texture.std())[..., None]
    return np.clip(ndimage.gaussian_filter(image, (size / 90, size / 90, 0)), 0, 1)
