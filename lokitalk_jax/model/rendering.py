"""Volume rendering: pixels from the samples along their rays."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lokitalk_jax import structs

Array = jax.Array


class Rendered(NamedTuple):
    """Rendered pixels, on the device or the host; leading axes are those of the rays.

    Attributes:
      rgb: [..., 3], over the plate.
      alpha: [...], opacity.
      depth: [...], expected distance along the ray, units of `UNIT`; transparency
        counts as the end of the ray.
      regions: [..., 4], rendered gates, in the order of `structs.REGIONS`. Gradients
        flow to the gates only: a loss on them moves a gate to its region, and not the
        surface to the gate.
      deformation: [..., 4], rendered length of each region's offset, units of `UNIT`.
    """

    rgb: structs.Array
    alpha: structs.Array
    depth: structs.Array
    regions: structs.Array
    deformation: structs.Array


def composite(weights, colours, distances, gates, offsets, plate, far) -> Rendered:
    """Composites samples over the plate.

    Args:
      weights: [..., S], of volume rendering.
      colours: [..., S, 3].
      distances: [..., S].
      gates: [..., S, 4].
      offsets: [..., S, 4, 3].
      plate: [..., 3].
      far: [...], distance that transparency counts as.
    """

    def total(values: Array) -> Array:
        return jnp.einsum("...s,...sc->...c", weights, values)

    alpha = jnp.sum(weights, axis=-1)
    transparency = 1 - alpha
    # The gradient of a length is undefined at zero, where every offset starts.
    lengths = jnp.sqrt(jnp.sum(offsets**2, axis=-1) + 1e-12)
    return Rendered(
        rgb=total(colours) + transparency[..., None] * plate,
        alpha=alpha,
        depth=jnp.sum(weights * distances, axis=-1) + transparency * far,
        regions=jnp.einsum("...s,...sc->...c", jax.lax.stop_gradient(weights), gates),
        deformation=total(lengths),
    )
