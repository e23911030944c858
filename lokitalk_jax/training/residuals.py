"""Residuals in training: how large they are, and steps without them."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def size(residual: dict, predicted: dict) -> Array:
    """Mean square [] of a residual's codes and last layers, less its prediction.

    Args:
      residual: of the identity.
      predicted: by the identity encoder; empty without encoder.
    """
    total: Any = 0.0
    # In a fixed order: every host must compile the same program.
    for name in ("codes", "last_layers"):
        if name not in residual:
            continue
        rest = residual[name]
        if predicted:
            rest = jax.tree.map(jnp.subtract, rest, predicted[name])
        total += sum(jnp.mean(leaf**2) for leaf in jax.tree.leaves(rest))
    return total


def drop(
    shared: dict, residual: dict, predicted: dict, key: Array, rate: float
) -> tuple[dict, dict]:
    """Replaces the residual by its prediction, with probability `rate`.

    Such a step trains the identity encoder alone: a renderer that is trained for both
    the residual and its prediction is worse at both.

    Args:
      shared, residual, predicted: parameters; see `size`.
      key: random key [].
      rate: in [0, 1].

    Returns:
      shared parameters and residual of this step.
    """
    keep = jax.random.bernoulli(key, 1 - rate).astype(jnp.float32)

    def gradient_if_kept(leaf: Array) -> Array:
        return keep * leaf + (1 - keep) * jax.lax.stop_gradient(leaf)

    mixed = {
        name: jax.tree.map(
            lambda full, seen: keep * full + (1 - keep) * seen, residual[name], part
        )
        for name, part in predicted.items()
    }
    return (
        jax.tree.map(gradient_if_kept, shared),
        jax.tree.map(gradient_if_kept, residual) | mixed,
    )
