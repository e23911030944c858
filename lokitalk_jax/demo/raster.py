"""A z-buffered triangle rasteriser: the visible surface point of each pixel."""

from typing import NamedTuple

import numpy as np


class Hits(NamedTuple):
    """Visible surface points of the H covered pixels of a flattened image.

    Attributes:
      pixel: int [H], row * width + column, increasing.
      triangle: int [H].
      weights: [H, 3], of the triangle's corners at the surface point, adding to 1.
      depth: [H], z of the point.
    """

    pixel: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    def interpolate(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """Values [V, C] of vertices at the points, [H, C]."""
        corners = values[triangles[self.triangle]]
        return np.einsum("hk,hkc->hc", self.weights, corners)


def rasterise(
    points: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    shape: tuple[int, int],
    cull: bool = True,
) -> Hits:
    """Finds the nearest triangle under each pixel centre.

    Args:
      points: [V, 2], projected vertices, pixels (centres at + 0.5).
      depth: [V], z in front of the camera, positive.
      triangles: int [T, 3].
      shape: height and width of the image.
      cull: leaves out triangles that face away: clockwise, with y down.

    Returns:
      One hit for each covered pixel; weights are correct in perspective.
    """
    height, width = shape
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = _cross(b - a, c - a)
    low = np.ceil(np.minimum(np.minimum(a, b), c) - 0.5).clip(0)
    high = np.floor(np.maximum(np.maximum(a, b), c) - 0.5)
    span = np.minimum(high, [width - 1, height - 1]) - low + 1
    kept = (area < 0 if cull else area != 0) & (span > 0).all(-1)
    kept = np.flatnonzero(kept)
    low, span = low[kept].astype(np.int32), span[kept].astype(np.int32)

    # Each triangle's bounding box in rows, each row in candidate pixels.
    of_row = np.repeat(np.arange(len(kept), dtype=np.int32), span[:, 1])
    row = low[of_row, 1] + _ranks(span[:, 1])
    a, b, c, area = a[kept], b[kept], c[kept], area[kept]
    count = span[of_row, 0]
    column = np.repeat(low[of_row, 0], count) + _ranks(count)
    # Weights of the second and third corner are affine along a row.
    weights = []
    for side in (c - a, a - b):
        slope = side[:, 1] / area
        start = (_cross(side, a) / area)[of_row]
        start -= (side[:, 0] / area)[of_row] * (row + 0.5)
        start += 0.5 * slope[of_row]
        weights.append(
            np.repeat(start, count) + np.repeat(slope[of_row], count) * column
        )
    wb, wc = weights
    inside = np.flatnonzero((wb >= 0) & (wc >= 0) & (wb + wc <= 1))
    wb, wc = wb[inside], wc[inside]
    owner = kept[np.repeat(of_row, count)[inside]]
    pixel = (np.repeat(row * width, count) + column)[inside]
    nearness = (1 / depth)[triangles[owner]]
    nearness[:, 0] *= 1 - wb - wc
    nearness[:, 1] *= wb
    nearness[:, 2] *= wc
    z = 1 / (nearness[:, 0] + nearness[:, 1] + nearness[:, 2])

    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, pixel, z)
    winners = np.flatnonzero(z == nearest[pixel])
    # On a shared edge two triangles may tie: the last is kept.
    chosen = np.full(height * width, -1)
    chosen[pixel[winners]] = winners
    chosen = chosen[chosen >= 0]
    return Hits(
        pixel[chosen], owner[chosen], nearness[chosen] * z[chosen, None], z[chosen]
    )


def _ranks(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, and so on."""
    ends = np.cumsum(counts, dtype=np.int32)
    total = ends[-1] if len(ends) else 0
    return np.arange(total, dtype=np.int32) - np.repeat(ends - counts, counts)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
