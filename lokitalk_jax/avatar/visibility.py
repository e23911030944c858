"""Which pixels of a frame show the identity, from a coarse grid of rays."""

from typing import Any

import jax
import numpy as np

Array = jax.Array

HIT = 1e-3  # opacity that counts as a hit; a quarter of a byte's step
_COARSE = 4  # pixels between the coarse rays


def pixel_centres(height: int, width: int) -> np.ndarray:
    """X and y of all pixel centres, row by row. float32 [H * W, 2]."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def coarse_pixels(height: int, width: int) -> np.ndarray:
    """Pixel centres of the coarse rays, which include the corners of the image.

    Returns:
      [h, w, 2], x and y in pixels.
    """
    rows, columns = (
        np.linspace(0.5, n - 0.5, count, dtype=np.float32)
        for n, count in zip((height, width), _coarse_size(height, width), strict=True)
    )
    return np.stack(np.meshgrid(columns, rows), axis=-1)


def _coarse_size(height: int, width: int) -> tuple[int, int]:
    """Rows h and columns w of coarse rays, about `_COARSE` pixels apart."""
    rows, columns = (max(-(-(n - 1) // _COARSE), 1) + 1 for n in (height, width))
    return rows, columns


def near(seen: Array, height: int, width: int) -> Array:
    """Pixels of the coarse cells with a hit at any corner.

    Args:
      seen: bool [h * w], hits of the coarse rays.
      height, width: of the image.

    Returns:
      bool [height, width].
    """
    cells = any_corner(seen.reshape(_coarse_size(height, width)))
    row, column = (
        np.minimum(np.arange(n) * count // max(n - 1, 1), count - 1)
        for n, count in zip((height, width), cells.shape, strict=True)
    )
    return cells[row][:, column]


def any_corner(seen: Any) -> Any:
    """Cells with a hit at any corner. bool [h, w] -> [h - 1, w - 1]."""
    return seen[1:, 1:] | seen[:-1, 1:] | seen[1:, :-1] | seen[:-1, :-1]
