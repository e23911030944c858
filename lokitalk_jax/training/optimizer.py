"""Adam with a learning rate for each kind of parameter, all on one schedule."""

from typing import NamedTuple

import jax
import ml_collections
import optax


class LearningRates(NamedTuple):
    """Rates at the start, by kind; see `base_config.py`."""

    grid: float
    network: float
    code: float
    torso: float


# Share of the learning rates that shared parameters keep where a prior is adapted.
COMMON = {"free": 1.0, "slow": 0.1, "frozen": 0.0}


def from_config(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """The optimiser of a config.

    Raises:
      ValueError: `config.shared` is unknown.
    """
    rates = LearningRates(**{name: config.lr[name] for name in LearningRates._fields})
    lr, steps = config.lr, config.train.steps
    return make(rates, steps, lr.warmup, lr.final, config.shared)


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
    rates: LearningRates,
    steps: int,
    warmup: int,
    final: float,
    shared: str = "free",
) -> optax.GradientTransformation:
    """The optimiser.

    Args:
      rates: at the start.
      steps: length of the schedule.
      warmup: steps over which rates rise from zero.
      final: share of the rates that is left at the end of the exponential decay.
      shared: how fast shared parameters learn, a key of `COMMON`.

    Raises:
      ValueError: `shared` is no such key.
    """
    if shared not in COMMON:
        raise ValueError(f"shared is {shared!r}; it must be one of {', '.join(COMMON)}")

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

    by_kind = optax.partition(
        {name: adam(rate) for name, rate in rates._asdict().items()}, kinds
    )
    if shared == "free":
        return by_kind
    if shared == "frozen":
        return optax.partition({"own": by_kind, "shared": optax.set_to_zero()}, _owner)
    return optax.chain(
        by_kind,
        optax.partition(
            {"own": optax.identity(), "shared": optax.scale(COMMON[shared])}, _owner
        ),
    )


def _owner(params) -> dict:
    """The tree of `params` with 'own' for what newcomers bring and else 'shared'."""

    def owner(path, _) -> str:
        # An audio encoder learns from the newcomers' speech, whatever stays as it is.
        return (
            "own" if path[0].key == "identity" or path[1].key == "voice" else "shared"
        )

    return jax.tree_util.tree_map_with_path(owner, params)
