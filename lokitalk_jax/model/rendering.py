"""Volume rendering: what samples along rays add up to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Rendered(NamedTuple):
    """What rays see. Leading axes are the rays'.

    Attributes:
      rgb: [..., 3], over the plate.
      alpha: [...], opacity.
      depth: [...], mean distance along the ray of what is seen, units of `UNIT`; the
        end of the ray where nothing is.
      regions: [..., 4], gates of the regions, rendered; in the order of
        `structs.REGIONS`. Their slope is that of the gates alone: a loss on them moves
        a gate to where its region is, and not the surface to where the gate is.
      deformation: [..., 4], length of each region's offset, rendered, units of `UNIT`.
    """

    rgb: Array
    alpha: Array
    depth: Array
    regions: Array
    deformation: Array


def composite(weights, colours, distances, gates, offsets, plate, far) -> Rendered:
    """Adds samples up and lays them over the background plate.

    Args:
      weights: [..., S], of volume rendering.
      colours: [..., S, 3].
      distances: [..., S].
      gates: [..., S, 4].
      offsets: [..., S, 4, 3].
      plate: [..., 3].
      far: [...], distance given to what shines through.
    """

    def total(values: Array) -> Array:
        return jnp.einsum("...s,...sc->...c", weights, values)

    alpha = jnp.sum(weights, axis=-1)
    through = 1 - alpha
    # The gradient of a length is undefined at zero, where every offset starts.
    lengths = jnp.sqrt(jnp.sum(offsets**2, axis=-1) + 1e-12)
    return Rendered(
        rgb=total(colours) + through[..., None] * plate,
        alpha=alpha,
        depth=jnp.sum(weights * distances, axis=-1) + through * far,
        regions=jnp.einsum("...s,...sc->...c", jax.lax.stop_gradient(weights), gates),
        deformation=total(lengths),
    )
