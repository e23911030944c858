"""Image masks of the four regions.

Lips and eyes are blurred ellipses around their landmarks, large enough for the skin
that moves with them, and are evaluated at pixels. Head and torso are the labels,
slightly blurred, times the person mask, and are stored as images.
"""

from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import face_mesh

# Corners in the order of x in the image of an upright face. The eyes are the person's
# left, then right.
_LIP_CORNERS = (61, 291)
_EYE_CORNERS = ((362, 263), (33, 133))

# Half axes of the lips, in mouth widths: their half width; and the larger of their half
# height plus a margin and the half height of most of speech, so that the mask hardly
# moves with the mouth, and its gate can be static. Half axes of the eyes: around the
# corners, which a blink does not move; heights in widths of the wider eye, as a turned
# head narrows the other eye.
_LIP_WIDEN, _LIP_MARGIN, _LIP_LEAST = 1.3, 0.15, 0.46
_LIP_LOWER = 0.06  # shift of the centre: chins move, noses do not
_EYE_WIDTH, _EYE_HEIGHT = 0.80, 0.85
_EYE_RAISE = 0.45  # shift of the centre: brows and the skin above them move too

# An ellipse is 1 up to this share of its radius, 0 from the other on, smooth between.
_INNER, _OUTER = 0.75, 1.25


class RegionShapes(NamedTuple):
    """Ellipses of F frames: the lips, the left eye, the right eye.

    Attributes:
      centres: [F, 3, 2], pixels.
      axes: [F, 3, 2, 2], columns are the half axes as vectors, pixels.
      valid: bool [F], False where there is no face; the masks are then 0.
    """

    centres: np.ndarray
    axes: np.ndarray
    valid: np.ndarray


def fit_shapes(landmarks: np.ndarray, valid: np.ndarray) -> RegionShapes:
    """Fits ellipses to lips and eyes of landmarks [F, 478, 3], pixels.

    Frames without a face, which bool `valid` [F] marks, get unit axes.
    """
    points = np.where(valid[:, None, None], landmarks[..., :2], 0).astype(np.float32)
    eyes = [points[:, corners] for corners in _EYE_CORNERS]
    widest = np.maximum(*(_frame(corners)[2] for corners in eyes))
    shapes = [_lip(points), *(_eye(corners, widest) for corners in eyes)]
    centres, axes = (np.stack(part, 1) for part in zip(*shapes, strict=True))
    axes[~valid] = np.eye(2)
    return RegionShapes(centres, axes, valid)


def ellipses(
    shapes: RegionShapes, frames: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Masks of the lips and of both eyes at pixels of frames.

    Args:
      shapes: of F frames.
      frames: int [...], the frame of each row of `pixels`.
      pixels: [..., R, 2], pixel centres.

    Returns:
      float32 [..., R, 2] in [0, 1].
    """
    inverse = np.linalg.inv(shapes.axes[frames])
    masks = []
    for k in range(3):
        # In half axes from the centre of the ellipse.
        apart = pixels - shapes.centres[frames][..., None, k, :]
        u, v = np.moveaxis(apart @ np.swapaxes(inverse[..., k, :, :], -1, -2), -1, 0)
        masks.append(falloff(np.sqrt(u * u + v * v)))
    lip, eye = masks[0], np.maximum(masks[1], masks[2])
    return np.stack([lip, eye], -1) * shapes.valid[frames][..., None, None]


def soften(shares: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Masks of the head and torso of one image.

    Args:
      shares: float32 [H, W, 2], shares of each pixel that are labelled head and torso.
      mask: uint8 [H, W], person mask.

    Returns:
      uint8 [H, W, 2]: the shares, blurred by about a pixel, times the mask.
    """
    return np.rint(cv2.GaussianBlur(shares, (3, 3), 0) * mask[..., None])


def falloff(radius: np.ndarray) -> np.ndarray:
    """Value [...] of a blurred ellipse at distances [...] from it, in half axes."""
    x = np.clip((_OUTER - radius) / (_OUTER - _INNER), 0, 1)
    return x * x * (3 - 2 * x)


def radius_table() -> tuple[np.ndarray, np.ndarray, float]:
    """For sampling points of a blurred unit ellipse: `np.interp(u, cdf, radii)`.

    Returns:
      the cumulative share of the mass [M], the radii [M] that contain it, and the
      mass: the integral of `falloff` over the plane.
    """
    radii = np.linspace(0, _OUTER, 512)
    density = falloff(radii) * radii
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return cdf / cdf[-1], radii, float(2 * np.pi * cdf[-1] * radii[1])


def _lip(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    right, down, width = _frame(points[:, _LIP_CORNERS])
    ring = points[:, face_mesh.LIPS_OUTER]
    across = np.einsum("fpi,fi->fp", ring, right)
    along = np.einsum("fpi,fi->fp", ring, down)
    centre = right * _middle(across) + down * (_middle(along) + _LIP_LOWER * width)
    half_height = np.ptp(along, axis=1, keepdims=True) / 2 + _LIP_MARGIN * width
    half_height = np.maximum(half_height, _LIP_LEAST * width)
    half_width = np.ptp(across, axis=1, keepdims=True) / 2 * _LIP_WIDEN
    return centre, np.stack([right * half_width, down * half_height], -1)


def _eye(corners: np.ndarray, widest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    right, down, width = _frame(corners)
    centre = corners.mean(1) - down * widest * _EYE_RAISE
    half_width, half_height = _EYE_WIDTH * width, _EYE_HEIGHT * widest
    return centre, np.stack([right * half_width, down * half_height], -1)


def _frame(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors along and across two corners [F, 2, 2], and their distance."""
    apart = corners[:, 1] - corners[:, 0]
    width = np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-6)
    right = apart / width
    return right, np.stack([-right[:, 1], right[:, 0]], -1), width


def _middle(values: np.ndarray) -> np.ndarray:
    return (values.max(1, keepdims=True) + values.min(1, keepdims=True)) / 2
