"""What belongs to one person: codes, last layers, torso pivot, canonical grid offset.

The same tree exists once as `base`, the face that all identities share, and once per
identity as what that person adds to it (LokiTalk, figure 2: dynamic, appearance and
geometry codes, the hypernetwork's layers and the canonical offset). A person's own
tree starts at zero: an unseen identity is the base identity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lokitalk_jax.model import hashgrid
from lokitalk_jax.structs import UNIT

Array = jax.Array

CODES = ("dynamic", "appearance", "geometry")

# What pictures can tell of a person, and the identity encoder therefore gives.
ENCODED = ("codes", "last_layers", "grid")

# Neck pivot and the shares of its motion that a torso follows along x, y, z, to start
# from: a torso that is tracked moves as its track says, whatever the pivot.
PIVOT_METRES = (0.0, 0.11, 0.06)
GAINS = (1.0, 1.0, 1.0)


class IdentitySpec(NamedTuple):
    """Sizes; static.

    Attributes:
      code: length of each of the three codes.
      hidden: H, width of the layer before the last one of a deformation head.
      regions: regions that have a last layer.
      own_layers: whether a person has last layers of their own (the hypernetwork).
      offset: whether a person has a canonical offset of their own.
      grid: sizes of the canonical grid.
      grid_scale: range of the base grid's first values.
    """

    code: int
    hidden: int
    regions: tuple[str, ...]
    own_layers: bool
    offset: bool
    grid: hashgrid.GridSpec
    grid_scale: float


def init_base(key: Array, spec: IdentitySpec) -> dict:
    """The tree of the base identity."""
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


def init_own(base: dict, count: int, spec: IdentitySpec) -> dict:
    """What `count` identities add to `base`, leading axis N: nothing yet."""
    shared = {"grid": not spec.offset, "last_layers": not spec.own_layers}
    own = {k: v for k, v in base.items() if not shared.get(k)}
    return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape)), own)


def combine(base: dict, own: dict) -> dict:
    """One identity's parameters: the base plus its own residual, leaf by leaf."""
    return {
        name: jax.tree.map(jnp.add, leaf, own[name]) if name in own else leaf
        for name, leaf in base.items()
    }
