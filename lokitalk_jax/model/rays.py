"""Camera rays in the head frame, and their intersection with the scene box."""

import jax
import jax.numpy as jnp

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.structs import UNIT, Rays

Array = jax.Array


def generate(pixels: Array, intrinsics: Array, head_to_camera: Array) -> Rays:
    """Rays through pixel centres.

    Args:
      pixels: [..., R, 2], x and y in pixels.
      intrinsics: [3], focal length, principal x and y, in pixels.
      head_to_camera: [..., 4, 4], metres.

    Returns:
      Rays with origins [..., 1, 3] and directions [..., R, 3], units of `UNIT`.
    """
    rotation = head_to_camera[..., :3, :3]
    translation = head_to_camera[..., :3, 3] / UNIT
    centred = pixels - trailing(intrinsics[1:], pixels)
    in_camera = jnp.concatenate(
        [centred / intrinsics[0], jnp.ones_like(pixels[..., :1])], -1
    )
    in_camera = in_camera / jnp.linalg.norm(in_camera, axis=-1, keepdims=True)
    # Row vectors times R apply the inverse rotation, from the camera to the head.
    directions = jnp.einsum("...rc,...ch->...rh", in_camera, rotation)
    origins = -jnp.einsum("...c,...ch->...h", translation, rotation)[..., None, :]
    return Rays(origins, directions)


def box_interval(rays: Rays, low: Array, high: Array) -> tuple[Array, Array]:
    """Distances at which rays enter and leave an axis-aligned box.

    Args:
      rays: directions [..., R, 3].
      low, high: [3], the box's corners.

    Returns:
      near, far: [..., R]; equal where a ray misses the box.
    """
    # A direction parallel to a face would divide by zero; the sign of the small
    # number does not matter because both crossings are then far away.
    safe = jnp.where(jnp.abs(rays.directions) < 1e-9, 1e-9, rays.directions)
    low, high = (trailing(corner, rays.origins) for corner in (low, high))
    a = (low - rays.origins) / safe
    b = (high - rays.origins) / safe
    near = jnp.maximum(jnp.max(jnp.minimum(a, b), axis=-1), 0.0)
    far = jnp.min(jnp.maximum(a, b), axis=-1)
    return near, jnp.maximum(near, far)
