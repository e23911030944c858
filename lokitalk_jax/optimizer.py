"""Adam with a learning rate for each kind of parameter, all on one schedule."""

from typing import NamedTuple

import jax
import optax


class LearningRates(NamedTuple):
    """Rates at the start, by kind; see `configs/base.py`."""

    grid: float
    network: float
    code: float
    torso: float


def kind(path: tuple) -> str:
    """The kind of the parameter at a tree path: a field of `LearningRates`."""
    names = {getattr(entry, "key", None) for entry in path}
    if "grid" in names:
        return "grid"
    if names & {"pivot", "gains"}:
        return "torso"
    if "codes" in names:
        return "code"
    return "network"


def kinds(params) -> dict:
    """The tree of `params` with kinds for leaves."""
    return jax.tree_util.tree_map_with_path(lambda path, _: kind(path), params)


def make(
    rates: LearningRates, steps: int, warmup: int, final: float
) -> optax.GradientTransformation:
    """The optimiser.

    Args:
      rates: at the start.
      steps: length of the schedule.
      warmup: steps over which rates rise from zero.
      final: share of the rates that is left at the end of the exponential decay.
    """

    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.warmup_exponential_decay_schedule(
            init_value=0.0,
            peak_value=rate,
            warmup_steps=warmup,
            transition_steps=max(steps - warmup, 1),
            decay_rate=final,
            end_value=rate * final,
        )
        # A tiny epsilon: most entries of a hashed table see few gradients, and those
        # that they see are small (Mueller et al., 2022, section 4).
        return optax.adam(schedule, b1=0.9, b2=0.99, eps=1e-15)

    return optax.partition(
        {name: adam(rate) for name, rate in rates._asdict().items()}, kinds
    )
