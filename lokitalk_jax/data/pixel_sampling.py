"""Sampling of the pixels of a training step."""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import frame_cache, regions
from lokitalk_jax.data.dataset import Dataset

_RADIUS_TABLE = regions.radius_table()
# Pixels tried before one off the person is taken.
_TRIES = 64
# What the patches of successive steps lie around.
_AROUND = ("lips", "person", "eye", "lips", "person", "person")


class Importance(NamedTuple):
    """Sampling weight of a pixel: the sum over the masks it lies in.

    Attributes:
      background, person, lip, eye: weight of each mask; every pixel has the first.
    """

    background: float = 0.15
    person: float = 1.0
    lip: float = 6.0
    eye: float = 4.0

    def check(self) -> None:
        """Raises ValueError if a weight is negative, or the background weight is 0."""
        if self.background <= 0 or min(self) < 0:
            raise ValueError(
                f"data.importance.background={self.background} must be positive, so "
                "that every pixel can be drawn, and the other weights at least 0, not "
                f"{min(self)}"
            )


def draw_pixels(
    rng: np.random.Generator,
    data: Dataset,
    frames: np.ndarray,
    count: int,
    importance: Importance,
) -> np.ndarray:
    """Draws pixels of frames, int [B], by their importance, with replacement.

    The density of a pixel is background + person * mask + lip * lip ellipse + eye *
    (left eye ellipse + right eye ellipse). A bound of it is sampled part by part (the
    whole image, and each ellipse exactly), and pixels of the whole image are rejected
    by the mask. No sum over an image is needed, so the time does not depend on the size
    of the image.

    Returns:
      Pixel centres, float32 [B, count, 2].
    """
    shapes, size = data.shapes, np.array(data.camera.shape[::-1])
    flat = importance.background + importance.person
    ellipse = np.array([importance.lip, importance.eye, importance.eye])
    cdf, radii, mass = _RADIUS_TABLE
    axes, centres = shapes.axes[frames], shapes.centres[frames]
    areas = np.abs(np.linalg.det(axes)) * mass * shapes.valid[frames, None]
    parts = np.concatenate(
        [np.full((len(frames), 1), flat * size.prod()), ellipse * areas], -1
    )
    parts = np.cumsum(parts, -1) / parts.sum(-1, keepdims=True)

    pixels = np.empty((len(frames) * count, 2), np.float32)
    pending = np.arange(len(pixels))
    while len(pending):
        slot = pending // count
        chance = rng.random((4, len(pending)), np.float32)
        pixel = chance[1:3].T * size
        kept = chance[0] < parts[slot, 0]

        # In an ellipse.
        inside = np.flatnonzero(~kept)
        at = slot[inside]
        part = (chance[0, inside, None] >= parts[at, 1:-1]).sum(-1)
        radius = np.interp(chance[1, inside], cdf, radii)
        angle = 2 * np.pi * chance[2, inside]
        right, down = np.moveaxis(axes[at, part], -1, 0)
        point = centres[at, part] + right * (radius * np.cos(angle))[:, None]
        pixel[inside] = point + down * (radius * np.sin(angle))[:, None]
        pixel = np.floor(pixel).astype(np.intp)

        # Anywhere, rejected by the mask.
        anywhere = np.flatnonzero(kept)
        x, y = pixel[anywhere].T
        mask = data.images[frames[slot[anywhere]], y, x, frame_cache.MASK] / 255
        bound = importance.background + importance.person * mask
        kept[anywhere] = chance[3, anywhere] * flat < bound
        kept[inside] = ((pixel[inside] >= 0) & (pixel[inside] < size)).all(-1)
        pixels[pending[kept]] = pixel[kept] + 0.5
        pending = pending[~kept]
    return pixels.reshape(len(frames), count, 2)


def draw_patches(
    rng: np.random.Generator,
    data: Dataset,
    frames: np.ndarray,
    side: int,
    step: int,
) -> np.ndarray:
    """Pixel centres [B, side * side, 2] of a square in each of frames, int [B].

    Rows come one after the other. The square lies around the lips, an eye, or a random
    pixel of the person, moved into the image. Steps take these in turn: eyes are so
    small that random squares would leave them out, and they would drift.
    """
    room = np.array(data.camera.shape[::-1]) - side
    turn, place = divmod(step, len(_AROUND))
    if _AROUND[place] == "lips":
        centre = data.shapes.centres[frames, 0]
    elif _AROUND[place] == "eye":
        centre = data.shapes.centres[frames, 1 + turn % 2]
    else:
        centre = np.array([_person_pixel(rng, data, frame) for frame in frames])
    corner = np.clip(np.round(centre - side / 2), 0, room)
    row, column = np.mgrid[:side, :side]
    inside = np.stack([column, row], -1).reshape(1, -1, 2) + 0.5
    return (corner[:, None] + inside).astype(np.float32)


def _person_pixel(rng: np.random.Generator, data: Dataset, frame: int) -> np.ndarray:
    """X and y of a random pixel that is more person than background."""
    size = np.array(data.camera.shape[::-1])
    tried = rng.integers(0, size, (_TRIES, 2))
    x, y = tried.T
    inside = data.images[frame, y, x, frame_cache.MASK] > 127
    return tried[np.argmax(inside)]
