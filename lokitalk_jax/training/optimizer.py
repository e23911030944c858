"""Adam with a learning rate for each kind of parameter, all on one schedule."""

from typing import NamedTuple

import jax
import optax

from lokitalk_jax.structs import Config


class LearningRates(NamedTuple):
    """Peak learning rates, by kind of parameter; see `base_config`."""

    grid: float
    network: float
    code: float
    torso: float


# Factor of the learning rates of a prior's shared parameters, by `config.shared`.
SHARED_FACTORS = {"free": 1.0, "slow": 0.1, "frozen": 0.0}


def from_config(config: Config) -> optax.GradientTransformation:
    """The optimiser of a config.

    Raises:
      ValueError: `config.shared` is unknown, or `lr.final` is out of range.
    """
    lr = config.lr
    rates = LearningRates(**{name: lr[name] for name in LearningRates._fields})
    return make(rates, config.train.steps, lr.warmup, lr.final, config.shared)


def make(
    rates: LearningRates,
    steps: int,
    warmup: int,
    final: float,
    shared: str = "free",
) -> optax.GradientTransformation:
    """The optimiser.

    Args:
      rates: at the peak of the schedule.
      steps: length of the schedule.
      warmup: steps over which rates rise from zero.
      final: share of the rates that is left at the end of the exponential decay,
        above 0 and at most 1.
      shared: how fast shared parameters learn, a key of `SHARED_FACTORS`.

    Raises:
      ValueError: `shared` is none of these keys, or `final` is out of range.
    """
    # Optax takes a decay to 0 for none.
    if not 0 < final <= 1:
        raise ValueError(
            f"lr.final={final:g} must be above 0 and at most 1; for rates that fall to "
            "almost nothing give a small number, such as 0.001"
        )
    if shared not in SHARED_FACTORS:
        known = ", ".join(SHARED_FACTORS)
        raise ValueError(f"shared={shared} is none of {known}")

    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.warmup_exponential_decay_schedule(
            init_value=0.0,
            peak_value=rate,
            warmup_steps=warmup,
            transition_steps=max(steps - warmup, 1),
            decay_rate=final,
            end_value=rate * final,
        )
        # A tiny epsilon: most entries of a hashed table get few gradients, and small
        # ones (Mueller et al., 2022, section 4).
        return optax.adam(schedule, b1=0.9, b2=0.99, eps=1e-15)

    by_kind = optax.partition(
        {name: adam(rate) for name, rate in rates._asdict().items()}, _kinds
    )
    if shared == "free":
        return by_kind
    if shared == "frozen":
        return optax.partition({"new": by_kind, "prior": optax.set_to_zero()}, _origins)
    scale = optax.scale(SHARED_FACTORS[shared])
    return optax.chain(
        by_kind, optax.partition({"new": optax.identity(), "prior": scale}, _origins)
    )


def _kinds(params: dict) -> dict:
    """The tree of `params` with their kinds, fields of `LearningRates`, as leaves."""

    def kind(path, _) -> str:
        names = {getattr(entry, "key", None) for entry in path}
        if "encoder" in names:
            return "network"
        if "grid" in names:
            return "grid"
        if names & {"pivot", "gains"}:
            return "torso"
        return "code" if "codes" in names else "network"

    return jax.tree_util.tree_map_with_path(kind, params)


def _origins(params: dict) -> dict:
    """The tree of `params` with "prior" or "new" as leaves, when a prior is adapted."""

    def origin(path, _) -> str:
        # The audio encoder learns from the speech of new identities in any case.
        new = path[0].key == "identity" or path[1].key == "voice"
        return "new" if new else "prior"

    return jax.tree_util.tree_map_with_path(origin, params)
