"""Whole frames in one compiled program, which skips empty background.

A coarse grid of rays is rendered first. Pixels far from any ray that hit the person
show the plate; the others are rendered tile by tile.
"""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.avatar import visibility
from lokitalk_jax.avatar.baked_frames import BakedAvatar
from lokitalk_jax.model import architecture, baked, masked, nerf, rays, sampling
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS, AvatarParams, Camera, Signals

Array = jax.Array

# Rays of a tile, at least and at most, and tiles of a frame in between: small tiles do
# not fill a large device, large ones waste work when few rays are left.
_TILE, _TILE_MAX, _TILES = 1024, 16384, 32
_TILE_POINTS = 4096  # points of a tile of a density grid


@functools.partial(jax.jit, static_argnums=0)
def build_density_grid(
    model: architecture.Model, params: AvatarParams, signals: Signals
) -> Array:
    """Density grid [X, Y, Z] of an identity: the largest density over some frames.

    Args:
      model: the model.
      params: of the identity; a grid in them is not read.
      signals: of B frames, leaves [B, ...].
    """
    centres = jnp.asarray(sampling.cell_centres(model.sampling))
    tiles = -(-len(centres) // _TILE_POINTS)
    padded = jnp.pad(
        centres, ((0, tiles * _TILE_POINTS - len(centres)), (0, 0)), mode="edge"
    )

    def frame(one: Signals) -> Array:
        def tile(points: Array) -> Array:
            batch = jax.tree.map(lambda x: x[None], one)
            return nerf.density(model, params, points[None], batch)[0]

        return jax.lax.map(tile, padded.reshape(tiles, _TILE_POINTS, 3)).reshape(-1)

    densest = jnp.max(jax.lax.map(frame, signals), axis=0)
    return densest[: len(centres)].reshape(model.sampling.cells)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _render(model, shape, torso, params, intrinsics, plate, pose, signals):
    height, width = shape
    one = jax.tree.map(lambda x: x[None], signals)

    def render_pixels(pixels: Array, behind: Array) -> Rendered:
        rendered, _ = nerf.render(
            model,
            params,
            rays.generate(pixels[None], intrinsics, pose[None]),
            one,
            behind[None],
            torso=torso,
        )
        return jax.tree.map(lambda x: x[0], rendered)

    coarse = jnp.asarray(visibility.coarse_pixels(height, width)).reshape(-1, 2)
    opaque = masked.map_where(
        lambda entries: (
            render_pixels(coarse[entries], jnp.zeros((len(entries), 3))).alpha
        ),
        jnp.ones(len(coarse), bool),
        _tile(len(coarse)),
        jnp.zeros(len(coarse)),
    )
    near = visibility.near(opaque > visibility.HIT, height, width)

    pixels = jnp.asarray(visibility.pixel_centres(height, width))
    plate = plate.reshape(-1, 3)
    nothing = jnp.zeros(height * width)
    _, far = rays.box_interval(
        rays.generate(pixels, intrinsics, pose),
        jnp.array(model.sampling.low),
        jnp.array(model.sampling.high),
    )
    no_regions = jnp.zeros((height * width, len(REGIONS)))
    rendered = masked.map_where(
        lambda entries: render_pixels(pixels[entries], plate[entries]),
        near.reshape(-1),
        _tile(height * width),
        Rendered(plate, nothing, far, no_regions, no_regions),
    )
    return jax.tree.map(lambda x: x.reshape(height, width, *x.shape[1:]), rendered)


def _tile(rays: int) -> int:
    return min(rays, _TILE_MAX, max(_TILE, rays // _TILES))


class FrameRenderer:
    """Renders frames of one identity with one camera.

    On a CPU it renders from baked fields, with samples that each frame places anew; see
    `baked_frames`. Elsewhere, and when exact, it evaluates the networks at every
    sample, as training does.

    Attributes:
      camera: of the frames.
    """

    def __init__(
        self,
        model: architecture.Model,
        params: AvatarParams,
        camera: Camera,
        exact: bool = False,
    ):
        """Places the parameters on the device.

        Args:
          model: the model.
          params: of the identity, its density grid included.
          camera: of the frames.
          exact: render as in training.
        """
        self.camera = camera
        self._model = model
        device = jax.local_devices()[0]
        # They may be on another device, or in host memory.
        self._params = jax.device_put(params, device)
        bakes = device.platform == "cpu" and baked.can_bake(model) and not exact
        self._baked = BakedAvatar(model, self._params) if bakes else None

    @property
    def bakes(self) -> bool:
        """Whether it renders from baked fields, all sizes with one program."""
        return self._baked is not None

    def at(self, camera: Camera) -> "FrameRenderer":
        """The same identity with another camera."""
        other = copy.copy(self)
        other.camera = camera
        return other

    def exact(self) -> "FrameRenderer":
        """The same identity rendered as in training."""
        other = copy.copy(self)
        other._baked = None
        return other

    def __call__(
        self,
        pose: Array | np.ndarray,
        signals: Signals,
        plate: np.ndarray,
        torso: bool = True,
    ) -> Rendered:
        """Renders a frame.

        Args:
          pose: [4, 4], head to camera, metres.
          signals: of the frame, leaves [...].
          plate: float32 [H, W, 3], the background.
          torso: False leaves the torso out, see `nerf.render`.

        Returns:
          maps of [H, W, ...]: on the device, or in host memory from baked fields.
        """
        if self._baked:
            return self._baked.render(self.camera, pose, signals, plate, torso)
        return _render(
            self._model,
            self.camera.shape,
            torso,
            self._params,
            jnp.asarray(self.camera.intrinsics),
            jnp.asarray(plate, jnp.float32),
            pose,
            signals,
        )
