"""A z-buffered triangle rasteriser: which surface point each pixel sees."""

from typing import NamedTuple

import numpy as np


class Hits(NamedTuple):
    """What the covered pixels see, in H pixels of a flattened image.

    Attributes:
      pixel: int [H], row * width + column.
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
        corners = triangles[self.triangle]
        out = self.weights[:, :1] * values[corners[:, 0]]
        for i in (1, 2):
            out += self.weights[:, i : i + 1] * values[corners[:, i]]
        return out


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
      cull: leave out triangles that face away: clockwise seen with y down.

    Returns:
      One hit for each covered pixel; weights are right in perspective.
    """
    height, width = shape
    corners = points[triangles]
    low = np.ceil(corners.min(1) - 0.5).astype(np.int64).clip(0)
    high = np.floor(corners.max(1) - 0.5).astype(np.int64)
    high = np.minimum(high, [width - 1, height - 1])
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(b - a, c - a)
    span = (high - low + 1).clip(0)
    count = span[:, 0] * span[:, 1]
    count[(area >= 0) if cull else (area == 0)] = 0

    # One candidate for each pixel of each triangle's bounding box.
    owner = np.repeat(np.arange(len(triangles)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    down, right = np.divmod(rank, span[owner, 0])
    column, row = low[owner, 0] + right, low[owner, 1] + down
    x, y = column + 0.5, row + 0.5
    # Weights of the second and third corner are affine in the image.
    inverse = 1 / np.where(area == 0, 1, area)
    wb, wc = (
        _affine(a, side * inverse[:, None], owner, x, y) for side in (c - a, a - b)
    )
    inside = (wb >= 0) & (wc >= 0) & (wb + wc <= 1)
    owner, wb, wc = owner[inside], wb[inside], wc[inside]
    pixel = (row * width + column)[inside]
    nearness = 1 / depth[triangles[owner]]
    nearness *= np.stack([1 - wb - wc, wb, wc], -1)
    z = 1 / nearness.sum(-1)

    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, pixel, z)
    winners = np.flatnonzero(z == nearest[pixel])
    # On a shared edge two triangles tie; one of them is kept.
    covered, first = np.unique(pixel[winners], return_index=True)
    chosen = winners[first]
    weights = nearness[chosen] * z[chosen, None]
    return Hits(covered, owner[chosen], weights, z[chosen])


def _affine(start, side, owner, x, y):
    """Cross product with `side` of the way from `start` to pixels, by triangle."""
    constant = _cross(side, start)
    return side[owner, 1] * x - side[owner, 0] * y + constant[owner]


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
