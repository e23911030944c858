"""Image masks of the four regions, evaluated at pixels instead of stored.

Lips and eyes are blurred ellipses around their landmarks, large enough to hold the
skin that moves with them; head and torso are the labels, slightly blurred, times the
person mask.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import folder

# MediaPipe's face mesh; corners in the order of x in the image of an upright face. The
# eyes are the person's left, then right.
_LIP_CORNERS = (61, 291)
_LIP_RING = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375)
_LIP_RING += (291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_EYE_CORNERS = ((362, 263), (33, 133))

# Half axes. Lips: their half width, and the larger of their half height plus a margin
# and what a mouth takes in most of speech, in mouth widths; so the mask hardly pumps
# with the mouth, and its gate can stand still. Eyes: around the corners, which a blink
# does not move; heights in widths of the wider eye, as a turned head narrows the other.
_LIP_WIDEN, _LIP_MARGIN, _LIP_LEAST = 1.3, 0.15, 0.46
_LIP_LOWER = 0.06  # chins move, noses do not
_EYE_WIDTH, _EYE_HEIGHT = 0.70, 0.48
_EYE_RAISE = 0.08  # upper lids move more than lower ones

# An ellipse is 1 up to this share of its radius, 0 from the other on, smooth between.
_INNER, _OUTER = 0.75, 1.25

# Blurs labels by about a pixel.
_BLUR = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16


class RegionShapes(NamedTuple):
    """Ellipses of F frames: the lips, the left eye, the right eye.

    Attributes:
      centres: [F, 3, 2], pixels.
      axes: [F, 3, 2, 2], columns are the half axes as vectors, pixels.
      valid: bool [F], False where there is no face: no lips, no eyes.
    """

    centres: np.ndarray
    axes: np.ndarray
    valid: np.ndarray


def fit_shapes(landmarks: np.ndarray, valid: np.ndarray) -> RegionShapes:
    """Ellipses around the lips and eyes of landmarks [F, 478, 3], pixels."""
    points = np.where(valid[:, None, None], landmarks[..., :2], 0).astype(np.float32)
    eyes = [points[:, corners] for corners in _EYE_CORNERS]
    widest = np.maximum(*(_frame(corners)[2] for corners in eyes))
    shapes = [_lip(points), *(_eye(corners, widest) for corners in eyes)]
    centres, axes = (np.stack(part, 1) for part in zip(*shapes, strict=True))
    axes[~valid] = np.eye(2)
    return RegionShapes(centres, axes, valid)


def evaluate(
    shapes: RegionShapes,
    labels: np.ndarray,
    masks: np.ndarray,
    frames: np.ndarray,
    pixels: np.ndarray,
) -> np.ndarray:
    """Region masks at pixels of frames.

    Args:
      shapes: of F frames.
      labels: uint8 [F, H, W], see `folder`.
      masks: uint8 [F, H, W], person masks.
      frames: int [...], which frame each row of `pixels` lies in.
      pixels: [..., R, 2], pixel centres inside the image.

    Returns:
      float32 [..., R, 4] in [0, 1], in the order of `structs.REGIONS`.
    """
    ellipses = falloff(_radius(shapes, frames, pixels))
    ellipses *= shapes.valid[frames][..., None, None]
    column, row = pixels[..., 0].astype(np.intp), pixels[..., 1].astype(np.intp)
    person = masks[frames[..., None], row, column].astype(np.float32) / 255
    height, width = labels.shape[1:]
    head, torso = np.zeros_like(person), np.zeros_like(person)
    for down in range(3):
        for right in range(3):
            near = labels[
                frames[..., None],
                np.clip(row + down - 1, 0, height - 1),
                np.clip(column + right - 1, 0, width - 1),
            ]
            head += _BLUR[down, right] * (near == folder.HEAD)
            torso += _BLUR[down, right] * (near == folder.TORSO)
    eye = np.maximum(ellipses[..., 1], ellipses[..., 2])
    return np.stack([ellipses[..., 0], eye, head * person, torso * person], -1)


def falloff(radius: np.ndarray) -> np.ndarray:
    """Value of a blurred ellipse at a distance from its centre, in half axes."""
    x = np.clip((_OUTER - radius) / (_OUTER - _INNER), 0, 1)
    return x * x * (3 - 2 * x)


def radius_table(entries: int = 512) -> tuple[np.ndarray, np.ndarray, float]:
    """For drawing points of a blurred unit ellipse: `np.interp(u, cdf, radii)`.

    Returns:
      The cumulative share of the ellipse's mass and the radii it lies within, and
      the mass, the integral of `falloff` over the plane.
    """
    radii = np.linspace(0, _OUTER, entries)
    density = falloff(radii) * radii
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return cdf / cdf[-1], radii, float(2 * np.pi * cdf[-1] * radii[1])


def _radius(shapes: RegionShapes, frames, pixels) -> np.ndarray:
    """Distances [..., R, 3] of pixels to each ellipse's centre, in half axes."""
    inverse = np.linalg.inv(shapes.axes[frames])
    apart = pixels[..., None, :] - shapes.centres[frames][..., None, :, :]
    unit = np.einsum("...eij,...rej->...rei", inverse, apart)
    return np.linalg.norm(unit, axis=-1)


def _lip(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    right, down, width = _frame(points[:, _LIP_CORNERS])
    ring = points[:, _LIP_RING]
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
