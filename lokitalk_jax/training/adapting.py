"""Adapting a prior to new identities: inherited config fields, and the first state."""

import logging
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax import sharding
from lokitalk_jax.avatar import zero_shot
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.model import canonical
from lokitalk_jax.structs import Array, Config, TrainState
from lokitalk_jax.training.training_set import TrainingSet

_LOG = logging.getLogger(__name__)

# The density of a prior whose shared parameters keep learning is divided by this power
# of e, so that surfaces can move: the shoulders of a new identity lie elsewhere, and
# opaque regions stay where they start. With 2, torsos gain 1 dB and heads lose 0.2;
# with 1, torsos gain as much with the network rate of configs/adapt.py.
_LOG_DENSITY_CUT = 1.0

# Sections of a config that belong to the prior's parameters, and fields of them that
# belong to the new identities.
_INHERITED = ("model", "grid", "scene", "sampling")
_FREE = ("model.identity_offset",)


def refuse_inherited(fields: Iterable[str]) -> None:
    """Refuses fields of a config, "section.name", that the prior would replace.

    Raises:
      ValueError: one of them is the prior's.
    """
    for field in fields:
        if field.split(".")[0] in _INHERITED and field not in _FREE:
            raise ValueError(
                f"{field} has no effect where a prior is adapted, since the prior sets "
                "it; leave it out, or train a prior with it"
            )


def inherit(config: Config, prior: OpenRun) -> Config:
    """A config with the sizes of the prior that it adapts.

    Raises:
      ValueError: `config.start` is unknown, or needs an encoder that the prior does not
        have.
    """
    if config.start not in zero_shot.STARTS:
        raise ValueError(
            f"start={config.start} is none of {', '.join(zero_shot.STARTS)}"
        )
    if config.start == "encoder" and not prior.config.model.encoder:
        raise ValueError(
            f"prior={prior.workdir} has no identity encoder; give start=mean, or train "
            "a prior with model.encoder=True"
        )
    config = config.copy_and_resolve_references()
    offset = config.model.identity_offset
    for section in _INHERITED:
        config[section] = prior.config[section].copy_and_resolve_references()
    # The encoder's prediction is where the residuals start; it is not trained along.
    config.model.encoder = False
    config.model.residual_dropout = 0.0
    config.model.identity_offset = offset
    return config


def warn_of_known(prior: OpenRun, names: Iterable[str]) -> None:
    """Warns of identities whose names are those of the prior's own."""
    for name in sorted(set(names) & set(prior.identities)):
        _LOG.warning(
            "the prior %s was trained on an identity %s: render it with workdir=%s "
            "identity=%s, or ignore this if it is a new clip or another person",
            prior.workdir,
            name,
            prior.workdir,
            name,
        )


def shared_parameters(prior: OpenRun, frozen: bool) -> dict:
    """The shared parameters that adapting a prior starts from.

    Encoders are left out, since adapting does not need them; unless the parameters are
    `frozen`, the density is lower, so that surfaces can still move.
    """
    shared = {k: v for k, v in prior.shared.items() if k not in ("encoder", "voice")}
    if frozen:
        return shared
    return shared | {"static": canonical.thinned(shared["static"], _LOG_DENSITY_CUT)}


def initial_state(
    prior: OpenRun,
    config: Config,
    state: TrainState,
    training_set: TrainingSet,
    shardings: TrainState,
) -> TrainState:
    """A fresh state with the prior's shared parameters, and zero-shot residuals.

    Args:
      prior: the run.
      config: of the adaptation, see `inherit`.
      state: fresh.
      training_set: the new identities.
      shardings: of the state.
    """
    start, offset = config.start, config.model.identity_offset
    shared = shared_parameters(prior, frozen=config.shared == "frozen")

    def row(data: Dataset | None) -> tuple[dict, Array]:
        """Residual and density grid of a slot."""
        if data is None:
            empty = zero_shot.initial_residual(prior, "mean", None, offset)
            return empty, jnp.zeros(state.density.shape[1:])
        record = training_set.record(data)
        seen = zero_shot.reference_batch(prior, data, record)
        residual = zero_shot.initial_residual(prior, start, seen, offset)
        params = zero_shot.with_density_grid(prior, shared, residual, record)
        return residual, params.density_grid

    rows = [row(data) for data in training_set.datasets]
    rows = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    residuals, density = sharding.put_by_identity(
        rows, training_set.slots, training_set.count, training_set.mesh
    )
    placed = {
        name: jax.device_put(part, shardings.params["shared"][name])
        for name, part in shared.items()
    }
    _LOG.info("starting from %s, step %d", prior.workdir, prior.step)
    return state._replace(
        params={"shared": state.params["shared"] | placed, "identity": residuals},
        density=density,
    )
