"""Frames of an avatar with baked fields, by the cores of a CPU.

A coarse grid of rays, the guide, is followed through the scene first. Only the pixels
of its cells with a hit are rendered, and samples gather where the weights of its rays
are. Pixels go through the cores in tiles. One compiled program renders those with lips
or eyes, another one the rest, where the fields of lips and lids are not read. Both
serve images of every size, as a guide has about the same number of rays for all.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.avatar import visibility
from lokitalk_jax.model import baked, baked_rendering, rays, sampling
from lokitalk_jax.model.architecture import Model
from lokitalk_jax.model.baked import BakedFields, FrameFields
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS, AvatarParams, Camera, Rays, Signals

Array = jax.Array
Intervals = tuple[Array, Array]  # distances and widths of samples, [..., S]

_CELLS = 64  # of a guide, along the longest side of an image
_TILE = 1024  # rays; their hidden units fit into the cache of a core
_FOLLOWED = 845  # rays of a guide in one tile; a fifth of those of a square image
# Samples of a pixel, as a share of the model's. Placed by weights of the same frame,
# they come as close to an image of many samples as all that the density grid places.
_SAMPLES = 2 / 3
_FACE = 0.01  # gates of lip and eye below which their fields are not read


class View(NamedTuple):
    """Camera, pose and signals of a frame.

    Attributes:
      intrinsics: [3], see `structs.Camera`.
      pose: [4, 4], head to camera, metres.
      signals: leaves [1, ...].
    """

    intrinsics: Array
    pose: Array
    signals: Signals


class Guide(NamedTuple):
    """What coarse rays see, `stride` pixels apart.

    Attributes:
      alpha: [h, w], opacity.
      face: [h, w], largest gate of lip or eye along the ray.
      intervals: [h, w, S], of the samples of a pixel.
    """

    alpha: Array
    face: Array
    intervals: Intervals


class BakedAvatar:
    """An identity whose fields are baked before the first frame."""

    def __init__(self, model: Model, params: AvatarParams):
        """Keeps the model and the parameters.

        Args:
          model: the model; see `baked.can_bake`.
          params: of the identity, its density grid included.
        """
        self._model, self._params = model, params
        self._workers = ThreadPoolExecutor(os.cpu_count())
        self._fields: BakedFields | None = None
        self._baking = threading.Lock()

    def render(
        self,
        camera: Camera,
        pose: Array | np.ndarray,
        signals: Signals,
        plate: np.ndarray,
        torso: bool,
    ) -> Rendered:
        """Renders a frame seen by a camera; maps [H, W, ...] are in host memory.

        Args:
          camera: of the frame.
          pose, signals, plate, torso: see `frames.FrameRenderer`.
        """
        signals = jax.tree.map(lambda x: jnp.asarray(x)[None], signals)
        view = View(jnp.asarray(camera.intrinsics), jnp.asarray(pose), signals)
        fields = _at_frames(self._bake(), signals)
        common = self._model, torso, self._params
        stride = -(-max(camera.shape) // _CELLS)
        guide = self._guide((*common, fields, view), camera.shape, stride)
        hit = visibility.any_corner(np.asarray(guide.alpha) > visibility.HIT)
        face = visibility.any_corner(np.asarray(guide.face) > _FACE)
        maps = _empty(guide, stride, *camera.shape)
        rows = jax.tree.map(_padded_rows, guide.intervals)
        sizes = camera.width, stride, guide.alpha.shape[1]

        def render(read: FrameFields, tile: np.ndarray) -> None:
            full = np.pad(tile, (0, _TILE - len(tile)), mode="edge")
            found = _render_tile(*common, read, view, rows, (full, *sizes))
            for values, new in zip(maps, jax.device_get(found), strict=True):
                values[tile] = new[: len(tile)]

        tiles = []
        still = fields.replace(face=None)
        for read, cells in (fields, hit & face), (still, hit & ~face):
            pixels = _pixels_of(cells, stride, *camera.shape)
            starts = range(0, len(pixels), _TILE)
            tiles += [(read, pixels[i : i + _TILE]) for i in starts]
        list(self._workers.map(lambda tile: render(*tile), tiles))
        maps = jax.tree.map(lambda x: x.reshape(*camera.shape, *x.shape[1:]), maps)
        behind = (1 - maps.alpha)[..., None] * np.asarray(plate, np.float32)
        return maps._replace(rgb=maps.rgb + behind)

    def _bake(self) -> BakedFields:
        with self._baking:  # threads may render the first frames together
            fields = self._fields
            if fields is None:
                self._fields = fields = baked.bake(self._model, self._params)
            return fields

    def _guide(self, common: tuple, image: tuple[int, int], stride: int) -> Guide:
        """Follows the rays of the guide of an image, in tiles of one size."""
        # A cell needs rays at all corners, some of them outside of the image.
        height, width = (-(-n // stride) + 1 for n in image)
        pixels = visibility.pixel_centres(height, width)
        pixels = (pixels - 0.5) * stride + 0.5
        padding = (0, -len(pixels) % _FOLLOWED), (0, 0)
        found = self._workers.map(
            lambda tile: jax.device_get(_follow(*common, tile)),
            np.pad(pixels, padding, mode="edge").reshape(-1, _FOLLOWED, 2),
        )

        def joined(*parts: np.ndarray) -> np.ndarray:
            whole = np.concatenate(parts)[: len(pixels)]
            return whole.reshape(height, width, *whole.shape[1:])

        return jax.tree.map(joined, *found)


def _pixels_of(cells: np.ndarray, stride: int, height: int, width: int) -> np.ndarray:
    """Numbers of the pixels in chosen cells, bool [h - 1, w - 1]; int32, cell by cell.

    Neighbours are rendered together, as they share cells of the canonical grid.
    """
    rows, columns = np.nonzero(cells)
    inside = np.arange(stride, dtype=np.int32)
    y = (rows[:, None, None] * stride + inside[:, None]).astype(np.int32)
    x = (columns[:, None, None] * stride + inside).astype(np.int32)
    y, x = np.broadcast_arrays(y, x)
    visible = (y < height) & (x < width)
    return (y * np.int32(width) + x)[visible]


def _padded_rows(values: np.ndarray) -> Array:
    """[h, w, S] to as many rows [P, S] as the largest guide has."""
    flat = values.reshape(-1, values.shape[-1])
    return jnp.asarray(np.pad(flat, ((0, (_CELLS + 1) ** 2 - len(flat)), (0, 0))))


_at_frames = jax.jit(baked.at_frames)


def _rays(view: View, pixels: Array) -> Rays:
    return rays.generate(pixels[None], view.intrinsics, view.pose[None])


def _box(model: Model, cast: Rays) -> tuple[Array, Array]:
    low, high = jnp.array(model.sampling.low), jnp.array(model.sampling.high)
    return rays.box_interval(cast, low, high)


def _empty(guide: Guide, stride: int, height: int, width: int) -> Rendered:
    """Maps [H * W, ...] of an image that shows nobody, over black, in host memory."""
    size, regions = height * width, len(REGIONS)
    distances, widths = (np.asarray(x)[..., -1] for x in guide.intervals)
    return Rendered(
        rgb=np.zeros((size, 3), np.float32),
        alpha=np.zeros(size, np.float32),
        depth=_enlarged(distances + widths / 2, stride)[:height, :width].reshape(-1),
        regions=np.zeros((size, regions), np.float32),
        deformation=np.zeros((size, regions), np.float32),
    )


def _enlarged(values: np.ndarray, stride: int) -> np.ndarray:
    """Values [h, w] of a guide, interpolated at [(h - 1) stride, (w - 1) stride]."""

    def weights(count: int) -> np.ndarray:
        place = np.arange((count - 1) * stride)[:, None] / stride
        return np.maximum(1 - np.abs(place - np.arange(count)), 0).astype(np.float32)

    rows, columns = (weights(count) for count in values.shape)
    return rows @ values @ columns.T


@functools.partial(jax.jit, static_argnums=(0, 1))
def _follow(
    model: Model,
    torso: bool,
    params: AvatarParams,
    fields: FrameFields,
    view: View,
    pixels: Array,
) -> Guide:
    """Follows the rays through pixels [P, 2]. Arrays lead with P."""
    cast = _rays(view, pixels)
    spec = model.sampling
    along = sampling.guided_samples(
        params.density_grid, cast, *_box(model, cast), spec, None
    )
    weights, face = baked_rendering.follow(
        model, params, fields, cast, along, view.signals, torso
    )
    samples = max(1, round(_SAMPLES * spec.samples))
    refined = sampling.refined_samples(*along, weights, samples)
    guide = Guide(jnp.sum(weights, axis=-1), face, refined)
    return jax.tree.map(lambda x: x[0], guide)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _render_tile(
    model: Model,
    torso: bool,
    params: AvatarParams,
    fields: FrameFields,
    view: View,
    intervals: Intervals,
    where: tuple[Array, int, int, int],
) -> Rendered:
    """Renders pixels over black.

    Args:
      model, torso, params, fields, view: of the frame.
      intervals: rows of the guide.
      where: numbers of the pixels, int32 [P]; the image's width; the guide's stride
        and width.

    Returns:
      maps [P, ...].
    """
    numbers, width, stride, guide_width = where
    row, column = numbers // width, numbers % width
    # Bilinear in the guide's cell around each pixel.
    first = row // stride * guide_width + column // stride
    down, right = ((x % stride / stride)[:, None] for x in (row, column))

    def between(rows: Array) -> Array:
        def corner(step: int | Array) -> Array:
            return rows.at[first + step].get(mode="promise_in_bounds")

        upper = corner(0) * (1 - right) + corner(1) * right
        lower = corner(guide_width) * (1 - right) + corner(guide_width + 1) * right
        return (upper * (1 - down) + lower * down)[None]

    rendered = baked_rendering.render(
        model,
        params,
        fields,
        _rays(view, jnp.stack([column, row], axis=-1) + 0.5),
        jax.tree.map(between, intervals),
        view.signals,
        torso,
    )
    return jax.tree.map(lambda x: x[0], rendered)
