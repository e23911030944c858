"""Refusing to keep a state whose loss or parameters are not finite."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from lokitalk_jax import sharding
from lokitalk_jax.structs import TrainState


@jax.jit
def _finite(params: dict) -> jax.Array:
    """Whether all parameters are finite; on every device."""
    return jnp.all(
        jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)])
    )


def refuse(state: TrainState, step: int, names: Sequence[str]) -> None:
    """Refuses a state that must not be saved.

    Args:
      state: after `step` steps.
      step: steps done.
      names: of the identities.

    Raises:
      FloatingPointError: a loss or a parameter is not finite; names the step.
    """
    first = sharding.fetch(state.first_bad)[: len(names)]
    if (first >= 0).any():
        bad = first[first >= 0].min()
        which = [name for name, at in zip(names, first, strict=True) if at == bad]
        found = f"the loss of {', '.join(which)} was not finite at step {bad}"
    elif not _finite(state.params):
        # A finite loss can have a gradient that is not.
        found = f"the parameters were not finite after step {step - 1}"
    else:
        return
    raise FloatingPointError(
        f"{found}; the checkpoints before it are kept: lower the rates (config.lr) or "
        "change the seed and start in another workdir, or run the same command again "
        "to resume from the last checkpoint"
    )
