"""Computing only some entries of arrays, in shapes that are known when compiling."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def map_where(function: Callable[[Array], Any], keep: Array, tile: int, others: Any):
    """Applies a function to the entries where a mask is set.

    Those entries are packed together, and a loop processes as many tiles as they fill:
    its length depends on the mask, the shapes do not.

    Args:
      function: from indices, int32 [tile], to a tree of values [tile, ...].
      keep: bool [M], the mask.
      tile: entries that the function is called with at once.
      others: a tree of values [M, ...] for entries where the mask is not set.

    Returns:
      a tree of values [M, ...].
    """
    size = keep.shape[0]
    rank = jnp.cumsum(keep, dtype=jnp.int32) - 1
    # Places that no entry fills hold index M, which is dropped when values are stored.
    kept = jnp.full(-(-size // tile) * tile, size, jnp.int32)
    kept = kept.at[jnp.where(keep, rank, kept.size)].set(
        jnp.arange(size, dtype=jnp.int32), mode="drop"
    )

    def step(i, values):
        entries = jax.lax.dynamic_slice_in_dim(kept, i * tile, tile)
        found = function(jnp.minimum(entries, size - 1))
        return jax.tree.map(
            lambda old, new: old.at[entries].set(new, mode="drop"), values, found
        )

    return jax.lax.fori_loop(0, (rank[-1] + tile) // tile, step, others)
