"""Parameters of one identity: codes, last layers, torso pivot, canonical grid.

The tree exists once as the shared base, and per identity as a residual that is added to
it (LokiTalk, figure 2: dynamic, appearance and geometry codes, the hypernetwork's
layers and the canonical offset). Residuals start at zero, so an identity that was not
trained is the base.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lokitalk_jax.model import hashgrid
from lokitalk_jax.structs import UNIT

Array = jax.Array

CODES = ("dynamic", "appearance", "geometry")

# Neck pivot, and the share of its motion along x, y and z that the torso follows, at
# the start. A tracked torso moves as its track, whatever the pivot.
PIVOT_METRES = (0.0, 0.11, 0.06)
GAINS = (1.0, 1.0, 1.0)


class IdentitySpec(NamedTuple):
    """Sizes of an identity's tree; static.

    Attributes:
      code: D, length of each code.
      hidden: rows of a last layer.
      regions: that have a last layer.
      layers: whether residuals have last layers.
      offset: whether residuals have a canonical grid.
      grid: sizes of the canonical grid.
      grid_scale: range of the base grid's first values.
    """

    code: int
    hidden: int
    regions: tuple[str, ...]
    layers: bool
    offset: bool
    grid: hashgrid.GridSpec
    grid_scale: float = 1e-3


def init_base(key: Array, spec: IdentitySpec) -> dict:
    """The tree of the shared base, for a random key []."""
    keys = jax.random.split(key, 1 + len(spec.regions))
    return {
        "codes": {name: jnp.zeros(spec.code) for name in CODES},
        "last_layers": {
            region: 0.03 * jax.random.normal(k, (spec.hidden, 3)) / spec.hidden**0.5
            for region, k in zip(spec.regions, keys[1:], strict=True)
        },
        "pivot": jnp.array(PIVOT_METRES) / UNIT,
        "gains": jnp.array(GAINS),
        "grid": hashgrid.init_table(keys[0], spec.grid, spec.grid_scale),
    }


def init_residuals(base: dict, count: int, spec: IdentitySpec) -> dict:
    """Residuals of `count` identities: zeros, leaves lead with N."""
    only_shared = {"grid": not spec.offset, "last_layers": not spec.layers}
    parts = {name: part for name, part in base.items() if not only_shared.get(name)}
    return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape)), parts)


def combine(base: dict, residual: dict) -> dict:
    """One identity's parameters: base plus residual; parts without one are the base."""
    return {
        name: jax.tree.map(jnp.add, part, residual[name]) if name in residual else part
        for name, part in base.items()
    }
