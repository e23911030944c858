"""From a config to the data, the first state and the programs that advance it."""

import functools
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import sharding, structs
from lokitalk_jax.avatar import shipped_priors
from lokitalk_jax.data.turns import Turns
from lokitalk_jax.model import architecture
from lokitalk_jax.progress import Progress
from lokitalk_jax.structs import Config
from lokitalk_jax.training import adapting, lip_source, same_clips, stages, train_step
from lokitalk_jax.training.batches import Batches
from lokitalk_jax.training.programs import Programs
from lokitalk_jax.training.stages import TrainingStage
from lokitalk_jax.training.training_set import TrainingSet, load_training_set

# The first parameters are computed once, and compile slowly: random numbers are long
# programs.
_COMPILE_FAST = {"xla_backend_optimization_level": 0}


class Session(NamedTuple):
    """Everything that the training loop needs.

    Attributes:
      config: resolved, with the fields of a prior.
      training_set: the identities.
      model: the model.
      origin: digests of the identity folders and of the prior, by which they are
        recognised wherever they are.
      state: before the first step.
      stages: of training, in their order.
      batches: of all steps.
      turns: the identities of each step; None where all take part.
      advance: (state, step, batch) to the state after the step and metrics of the
        batch's identities; the state that is given in is donated.
    """

    config: Config
    training_set: TrainingSet
    origin: dict
    model: architecture.Model
    state: structs.TrainState
    stages: tuple[TrainingStage, ...]
    batches: Batches
    turns: Turns | None
    advance: Programs


def build_session(
    config: Config,
    workdir: pathlib.Path | None = None,
    progress: Progress | None = None,
) -> Session:
    """Opens the data and makes the first state, from a prior if the config has one.

    Args:
      config: of the run.
      workdir: of the run, see `lip_source.build`.
      progress: receives the stages "resizing" and "fitting Audio2Motion".

    Raises:
      ValueError: config, data and prior do not fit together.
    """
    prior = None
    if config.task == "adapt" and not config.prior:
        raise ValueError(
            "adapting needs a prior: give prior=RUN or prior=base, the package's, or "
            "train from scratch with config=single_id"
        )
    if config.prior:
        prior = shipped_priors.open_prior(config.prior)
        config = adapting.inherit(config, prior)
    training_set = load_training_set(config, prior and prior.lip_basis, progress)
    if prior:
        adapting.warn_of_known(prior, training_set.names)
    if training_set.fitted.torso_tracked.all():
        # A tracked torso moves as its track; other gains would only misplace it.
        config = config.copy_and_resolve_references()
        config.lr.torso = 0.0
    lanes = training_set.mesh.shape["identity"]
    spec = train_step.from_config(config, training_set.count, lanes)
    init = functools.partial(train_step.init_state, spec)
    given = np.uint32(config.seed), np.array(training_set.ids, np.uint32)
    shapes = jax.eval_shape(init, *given)
    shardings = sharding.state_shardings(shapes, training_set.mesh)
    first = jax.jit(init, out_shardings=shardings, compiler_options=_COMPILE_FAST)
    state = first(*given)
    if prior:
        state = adapting.initial_state(prior, config, state, training_set, shardings)
    source = lip_source.build(config, training_set, prior, workdir, progress)
    if source.encoder:
        encoder = jax.device_put(source.encoder, shardings.params["shared"]["voice"])
        shared = state.params["shared"] | {"voice": encoder}
        state = state._replace(params=state.params | {"shared": shared})

    in_order = stages.from_config(config)
    batches = Batches(
        config,
        training_set,
        in_order,
        source.signals,
        source.audio_windows,
        spec.turns,
    )
    every = config.train.density_every
    programs = Programs(spec, in_order, shardings, training_set.mesh, every)
    origin = {
        "data": same_clips.digests(training_set.folders),
        "prior": prior.digest if prior else "",
    }
    return Session(
        config,
        training_set,
        origin,
        spec.model,
        state,
        in_order,
        batches,
        spec.turns,
        programs,
    )
