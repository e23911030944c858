"""Whole frames: tiles of rays through one compiled program."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax import model, sampling
from lokitalk_jax.rendering import Rendered
from lokitalk_jax.structs import Signals

Array = jax.Array

_TILE = 4096  # rays; between 1024 and 16384 the speed differs by a few per cent


def pixel_centres(height: int, width: int) -> np.ndarray:
    """X and y of all pixel centres, row by row. float32 [H * W, 2]."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([x, y], axis=-1).reshape(-1, 2)


@functools.partial(jax.jit, static_argnums=0)
def survey(spec: model.Model, shared: dict, person: dict, signals: Signals) -> Array:
    """Density grid [X, Y, Z] of a person: the largest density over some frames.

    Args:
      spec: the model.
      shared: parameters that all identities share.
      person: the identity's tree, `identity.combine` of the common and its own.
      signals: of B frames, leaves [B, ...].
    """
    centres = jnp.asarray(sampling.cell_centres(spec.sampling))
    tiles = -(-len(centres) // _TILE)
    padded = jnp.pad(centres, ((0, tiles * _TILE - len(centres)), (0, 0)), mode="edge")

    def frame(one: Signals) -> Array:
        def tile(points: Array) -> Array:
            batch = jax.tree.map(lambda x: x[None], one)
            return model.density(spec, shared, person, points[None], batch)[0]

        return jax.lax.map(tile, padded.reshape(tiles, _TILE, 3)).reshape(-1)

    densest = jnp.max(jax.lax.map(frame, signals), axis=0)
    return densest[: len(centres)].reshape(spec.sampling.cells)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _render(
    spec, torso, shared, person, density, pixels, plate, intrinsics, pose, signals
):
    def tile(inputs):
        at, behind = inputs
        rendered, _ = model.render(
            spec,
            shared,
            person,
            density,
            at[None],
            intrinsics,
            pose[None],
            jax.tree.map(lambda x: x[None], signals),
            behind[None],
            torso=torso,
        )
        return jax.tree.map(lambda x: x[0], rendered)

    rendered = jax.lax.map(tile, (pixels, plate))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rendered)


class FrameRenderer:
    """Renders frames of one person at one size."""

    def __init__(
        self,
        spec: model.Model,
        shared: dict,
        person: dict,
        density: Array,
        height: int,
        width: int,
        intrinsics: np.ndarray,
    ):
        """Places what does not change from frame to frame on the device.

        Args:
          spec: the model.
          shared: parameters that all identities share.
          person: one identity's tree, `identity.combine` of the common and its own.
          density: [X, Y, Z], that person's density grid.
          height, width: pixels.
          intrinsics: [3], focal length, principal x and y, pixels of that size.
        """
        self._spec = spec
        self.height, self.width = height, width
        tiles = -(-height * width // _TILE)
        self._tile = -(-height * width // tiles)
        self._padding = tiles * self._tile - height * width
        self._pixels = jnp.asarray(self._tiled(pixel_centres(height, width)))
        # Wherever they come from: a shard of another device, or host memory.
        self._fixed = jax.device_put((shared, person, density), jax.local_devices()[0])
        self._intrinsics = jnp.asarray(intrinsics)

    def at(self, height: int, width: int, intrinsics: np.ndarray) -> "FrameRenderer":
        """The same person at another size; see `__init__`."""
        return FrameRenderer(self._spec, *self._fixed, height, width, intrinsics)

    def _tiled(self, rays: np.ndarray) -> np.ndarray:
        rays = np.pad(rays, ((0, self._padding), (0, 0)), mode="edge")
        return rays.reshape(-1, self._tile, rays.shape[-1])

    def __call__(
        self, pose: Array, signals: Signals, plate: np.ndarray, torso: bool = True
    ) -> Rendered:
        """Renders a frame; the result is still on the device.

        Args:
          pose: [4, 4], head to camera, metres.
          signals: of the frame, leaves [...].
          plate: float32 [H, W, 3].
          torso: False leaves the torso out, see `model.render`.

        Returns:
          maps of [H, W, ...].
        """
        rendered = _render(
            self._spec,
            torso,
            *self._fixed,
            self._pixels,
            self._tiled(np.asarray(plate, np.float32).reshape(-1, 3)),
            self._intrinsics,
            pose,
            signals,
        )
        count = self.height * self.width
        return jax.tree.map(
            lambda x: x[:count].reshape(self.height, self.width, *x.shape[1:]), rendered
        )
