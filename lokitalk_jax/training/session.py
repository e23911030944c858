"""From a config to a state and the programs that advance it."""

import functools
import logging
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from lokitalk_jax import lpips, sharding, structs
from lokitalk_jax.avatar import newcomer
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.model import nerf
from lokitalk_jax.structs import Batch
from lokitalk_jax.training import lip_source, losses, optimizer, train_step
from lokitalk_jax.training.batches import Batches
from lokitalk_jax.training.cast import Cast, load_cast

_LOG = logging.getLogger(__name__)

# Drawing the first parameters runs once and compiles slowly: random numbers are long
# programs.
_COMPILE_FAST = {"xla_backend_optimization_level": 0}


class Session(NamedTuple):
    """What training needs, ready to go.

    Attributes:
      config: as resolved.
      cast: who is trained.
      model: the model.
      state: before the first step.
      batches: of all steps.
      advance: (state, step, batch) to the state after the step and metrics [N]; the
        state that is given in is donated.
    """

    config: ml_collections.ConfigDict
    cast: Cast
    model: nerf.Model
    state: structs.TrainState
    batches: Batches
    advance: Callable


def build_session(
    config: ml_collections.ConfigDict, workdir: pathlib.Path | None = None
) -> Session:
    """Opens the data and makes a fresh state, from a prior where the config names one.

    Args:
      config: of the run.
      workdir: of the run, see `heard.begin`.

    Raises:
      ValueError: config, data and prior do not fit together.
    """
    prior = None
    if config.task == "adapt" and not config.prior:
        raise ValueError(
            "adapting needs a prior: give --config.prior=RUN, or train from "
            "scratch with configs/single_id.py"
        )
    if config.prior:
        prior = Run(pathlib.Path(config.prior))
        config = newcomer.inherit(config, prior)
    cast = load_cast(config, prior and prior.lip_basis)
    if prior:
        newcomer.warn_of_known(prior, cast.names)
    model = nerf.from_config(config)
    rule = optimizer.make(
        optimizer.LearningRates(
            config.lr.grid, config.lr.network, config.lr.code, config.lr.torso
        ),
        config.train.steps,
        config.lr.warmup,
        config.lr.final,
        config.shared,
    )
    init = functools.partial(train_step.init_state, model, rule, identities=cast.count)
    seed = np.uint32(config.seed)
    shardings = sharding.state_shardings(jax.eval_shape(init, seed), cast.mesh)
    state = jax.jit(init, out_shardings=shardings, compiler_options=_COMPILE_FAST)(seed)
    if prior:
        state = _adapted(prior, config, state, cast, shardings)
    sound = lip_source.build(config, cast, prior, workdir)
    if sound.encoder:
        encoder = jax.device_put(sound.encoder, shardings.params["shared"]["voice"])
        state = state._replace(params=_with_shared(state.params, voice=encoder))

    train, density = train_step.compile_steps(
        model,
        losses.LossWeights(**config.loss),
        rule,
        cast.ids,
        cast.mesh.shape["identity"],
        config.train.density_points,
        shardings,
        sharding.by_identity(cast.mesh),
    )
    lpips_params = None
    if config.train.perceptual:
        everywhere = NamedSharding(cast.mesh, PartitionSpec())
        lpips_params = jax.device_put(lpips.lpips_params("alex"), everywhere)
    batches = Batches(config, cast, sound.signals, sound.audio_windows)

    def advance(state, step: int, batch: Batch):
        if step % config.train.density_every == 0:
            state = density(state, batch)
        in_patches = step >= batches.patches_from
        # Whatever still had to be sent to the devices here would hold up every step.
        with jax.transfer_guard("disallow"):
            return train(state, batch, lpips_params if in_patches else None)

    return Session(config, cast, model, state, batches, advance)


def _adapted(prior: Run, config, state, cast: Cast, shardings):
    """A fresh state with a prior's common parts, and people as it first sees them."""
    start, offset = config.start, config.model.identity_offset
    shared = newcomer.shared_parts(prior, frozen=config.shared == "frozen")

    def person(data: Dataset | None) -> tuple[dict, jax.Array]:
        if data is None:
            empty = newcomer.initial_identity(prior, "mean", None, offset)
            return empty, jnp.zeros(state.density.shape[1:])
        record = cast.record(data)
        seen = newcomer.reference_batch(prior, data, record)
        own = newcomer.initial_identity(prior, start, seen, offset)
        return own, newcomer.density(prior, shared, record, own)

    rows = [person(data) for data in cast.datasets]
    rows = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    own, density = sharding.put_by_identity(rows, cast.slots, cast.count, cast.mesh)
    placed = {
        name: jax.device_put(part, shardings.params["shared"][name])
        for name, part in shared.items()
    }
    _LOG.info("starting from %s, step %d", prior.workdir, prior.step)
    params = _with_shared(state.params, **placed) | {"identity": own}
    return state._replace(params=params, density=density)


def _with_shared(params: dict, **parts) -> dict:
    return params | {"shared": params["shared"] | parts}
