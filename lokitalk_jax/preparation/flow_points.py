"""Points of a rigid part, followed by optical flow from one reference frame.

Every frame is first warped onto the reference by the part's coarse motion, so that the
flow is short and nothing drifts; it says how each point moves beyond that motion. On an
edge, such as the outline of a shoulder, flow knows the motion across the edge and
hardly that along it, so each point comes with its structure tensor (Foerstner and
Guelch, 1987).
"""

from typing import Any, NamedTuple

import cv2
import numpy as np

# Points are at most this many, the most textured ones of a grid.
COUNT = 200
_GRID = 64  # cells along the longest side
_TEXTURE_BLUR = 3.0  # pixels
# Flow there and back that misses its start by more than this, pixels, counts little.
_MISS = 0.7
# Slopes of more grey values than this a pixel make a point no better.
_STEEP = 10.0
# Points this close to the edge of a frame are not used, pixels.
_BORDER = 4
# Flow is computed in the window of the points, grown by this on every side, pixels.
_ROOM = 24


class Followed(NamedTuple):
    """P points of the reference frame in all F frames; array indices, x and y.

    Attributes:
      points: float32 [P, 2], pixels of the reference frame.
      places: float32 [F, P, 2], where they are in each frame.
      weights: float32 [F, P], how well they are seen there, 0 to 1.
      sharpness: float32 [P, 2, 2], how well the texture of each point determines its
        place: multiplies an error in pixels, eigenvalues 0 to 1 across and along edges.
    """

    points: np.ndarray
    places: np.ndarray
    weights: np.ndarray
    sharpness: np.ndarray


class Template(NamedTuple):
    """A window of the reference frame, and P points in it.

    Attributes:
      grey: uint8, the pixels of the window.
      corner: int [2], x and y of its first pixel in the frame.
      points: float32 [P, 2], pixels, x and y of array indices.
      sharpness: float32 [P, 2, 2], see `Followed`.
    """

    grey: np.ndarray
    corner: np.ndarray
    points: np.ndarray
    sharpness: np.ndarray


def choose(grey: np.ndarray, part: np.ndarray) -> Template:
    """Chooses points on a part of the reference frame.

    Args:
      grey: uint8 [H, W].
      part: bool [H, W].
    """
    slopes = [cv2.Sobel(grey, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))]
    across, down = slopes
    products = np.stack([across**2, across * down, down**2], axis=-1)
    products = cv2.GaussianBlur(products, (0, 0), _TEXTURE_BLUR)
    step = max(max(grey.shape) // _GRID, 1)
    place = np.s_[step // 2 :: step, step // 2 :: step]
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
    on_part = part[place]
    points = np.stack([columns[place][on_part], rows[place][on_part]], 1)
    tensors = products[place][on_part][:, [[0, 1], [1, 2]]]
    steepness = np.trace(tensors, axis1=1, axis2=2)
    best = np.sort(np.argsort(-steepness, kind="stable")[:COUNT])
    points, tensors = points[best], tensors[best]
    first, last = np.zeros(2, int), np.array(grey.shape[::-1])
    if len(points):
        first = np.maximum(points.min(0) - _ROOM, first)
        last = np.minimum(points.max(0) + _ROOM + 1, last)
    window = np.ascontiguousarray(grey[first[1] : last[1], first[0] : last[0]])
    return Template(window, first, points.astype(np.float32), _sharpness(tensors))


def _sharpness(tensors: np.ndarray) -> np.ndarray:
    """Square roots of structure tensors [P, 2, 2], in `_STEEP`, at most 1."""
    squares, axes = np.linalg.eigh(tensors)
    lengths = np.sqrt(np.clip(squares, 0, _STEEP**2)) / _STEEP
    return np.einsum("pik,pk,pjk->pij", axes, lengths, axes).astype(np.float32)


def follow(
    template: Template, grey: np.ndarray, warp: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the points in another frame.

    Args:
      template: the reference frame.
      grey: uint8 [H, W], the frame.
      warp: [2, 3], from pixels of the reference to pixels of the frame, coarse.

    Returns:
      places float32 [P, 2], array indices, and weights float32 [P], zero outside the
      frame.
    """
    height, width = grey.shape
    onto_window = np.column_stack(
        [warp[:, :2], warp[:, :2] @ template.corner + warp[:, 2]]
    )
    warped = cv2.warpAffine(
        grey,
        onto_window,
        template.grey.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    points = template.points - template.corner
    there = _at(search.calc(template.grey, warped, None), points)
    back = _at(search.calc(warped, template.grey, None), points + there)
    missed = np.linalg.norm(there + back, axis=1) / _MISS
    places = (template.points + there) @ warp[:, :2].T + warp[:, 2]
    inside = (places > _BORDER).all(1)
    inside &= (places < np.array([width, height]) - 1 - _BORDER).all(1)
    return places, inside / (1 + missed**2)


def _at(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values [P, C] of an image [H, W, C] at points [P, 2]."""
    x, y = points.astype(np.float32).T
    return cv2.remap(
        image, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )[0]
