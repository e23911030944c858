"""The two steps of training, pure functions of state and batch, for all identities."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lokitalk_jax import sharding, structs
from lokitalk_jax.data import turns
from lokitalk_jax.data.turns import Turns
from lokitalk_jax.model import architecture, identity, nerf, sampling
from lokitalk_jax.structs import Batch, Config
from lokitalk_jax.training import optimizer
from lokitalk_jax.training.lanes import gradients, identities_first, slots_first
from lokitalk_jax.training.losses import LossWeights, identity_loss

Array = jax.Array


class StepSpec(NamedTuple):
    """Static description of a training step.

    Attributes:
      model: the model.
      weights: of the losses.
      optimizer: its state is in `TrainState.moments`.
      identities: N, padding included.
      lanes: devices along the mesh axis `identity`, see `lanes`.
      density_points: cells of a density grid visited for each frame of a batch.
      turns: the identities of each step; None takes all.
    """

    model: architecture.Model
    weights: LossWeights
    optimizer: optax.GradientTransformation
    identities: int
    lanes: int
    density_points: int
    turns: Turns | None = None


def from_config(config: Config, identities: int, lanes: int) -> StepSpec:
    """The step of a config; for `identities` and `lanes` see `StepSpec`.

    Raises:
      ValueError: the config names something unknown.
    """
    return StepSpec(
        model=architecture.from_config(config),
        weights=LossWeights(**config.loss),
        optimizer=optimizer.from_config(config),
        identities=identities,
        lanes=lanes,
        density_points=config.train.density_points,
        turns=turns.make(identities, lanes, config.train.identities_per_step),
    )


def init_state(
    spec: StepSpec, seed: int | Array, ids: np.ndarray | Array
) -> structs.TrainState:
    """A fresh state, from a seed [] and numbers of identities [N]; see `TrainState`."""
    identities = spec.identities
    params = architecture.init(spec.model, jax.random.key(seed), identities)
    grid = sampling.init_density(spec.model.sampling)
    return structs.TrainState(
        seed=jnp.uint32(seed),
        ids=jnp.asarray(ids, jnp.uint32),
        step=jnp.int32(0),
        first_bad=jnp.full(identities, -1, jnp.int32),
        params=params,
        moments=spec.optimizer.init(params),
        density=jnp.broadcast_to(grid, (identities, *grid.shape)),
    )


def avatar_params(state: structs.TrainState, slot: int) -> structs.AvatarParams:
    """Parameters of a slot, on a device of this process, which must own the slot."""
    parts = (
        sharding.local(state.params["shared"]),
        *sharding.local_slice((state.params["identity"], state.density), slot),
    )
    shared, residual, grid = jax.device_put(parts, jax.local_devices()[0])
    return structs.AvatarParams(
        shared, identity.combine(shared["base"], residual), grid
    )


def step_keys(seed: int | Array, step: Array, ids: Sequence[int] | Array) -> Array:
    """Random keys [N] of identities `ids` [N], functions of seed, step and id alone."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(ids, jnp.uint32))


def _in_turn(
    spec: StepSpec, advance: Callable, state: structs.TrainState, *arguments
) -> tuple[structs.TrainState, Any]:
    """Advances the identities whose turn it is, and the shared parameters.

    Args:
      spec: of the step.
      advance: (spec, state, *arguments) to state and metrics, of some identities.
      state: of all identities.
      *arguments: a batch of the identities whose turn it is, and others.
    """
    turn = spec.turns
    if turn is None:
        return advance(spec, state, *arguments)
    places = turn.places(state.step)

    def blocks(leaf: Array) -> Array:
        return leaf.reshape(turn.lanes, turn.slots, *leaf.shape[1:])

    def take(path, leaf: Array) -> Array:
        if not sharding.splits(path, leaf):
            return leaf
        return blocks(leaf)[:, places].reshape(turn.count, *leaf.shape[1:])

    def put(path, leaf: Array, new: Array) -> Array:
        if not sharding.splits(path, leaf):
            return new
        new = new.reshape(turn.lanes, turn.active, *leaf.shape[1:])
        return blocks(leaf).at[:, places].set(new).reshape(leaf.shape)

    some = jax.tree_util.tree_map_with_path(take, state)
    some, metrics = advance(spec, some, *arguments)
    return jax.tree_util.tree_map_with_path(put, state, some), metrics


def train_step(
    spec: StepSpec, state: structs.TrainState, batch: Batch, lpips_params=None
) -> tuple[structs.TrainState, dict]:
    """One step of gradient descent on the identities of the step.

    Args:
      spec: of the step.
      state: before the step; may be donated.
      batch: leaves lead with N, or with the identities whose turn it is.
      lpips_params: see `identity_loss`; with them the rays are patches.

    Returns:
      the state after the step, and metrics of the batch's identities by name.
    """
    return _in_turn(spec, _descend, state, batch, lpips_params)


def _descend(
    spec: StepSpec, state: structs.TrainState, batch: Batch, lpips_params
) -> tuple[structs.TrainState, dict]:
    def loss(shared, residual, one):
        grid, part, key = one
        return identity_loss(
            spec.model, spec.weights, shared, residual, grid, part, key, lpips_params
        )

    slices = (state.density, batch, step_keys(state.seed, state.step, state.ids))
    grads, metrics = gradients(loss, state.params, slices, batch.weight, spec.lanes)
    updates, moments = spec.optimizer.update(grads, state.moments, state.params)
    bad = ~jnp.isfinite(metrics["loss"]) & (batch.weight > 0)
    return state._replace(
        step=state.step + 1,
        first_bad=jnp.where((state.first_bad < 0) & bad, state.step, state.first_bad),
        params=optax.apply_updates(state.params, updates),
        moments=moments,
    ), metrics


def density_step(
    spec: StepSpec, state: structs.TrainState, batch: Batch
) -> structs.TrainState:
    """Updates random cells of the density grids, with the signals of a batch.

    Arguments as of `train_step`.
    """
    return _in_turn(spec, _visit_density, state, batch)[0]


def _visit_density(
    spec: StepSpec, state: structs.TrainState, batch: Batch
) -> tuple[structs.TrainState, None]:
    model, points = spec.model, spec.density_points

    def visit(_, inputs):
        return None, jax.vmap(one)(*inputs)

    def one(residual, grid, signals, audio_windows, key):
        shared = state.params["shared"]
        combined = identity.combine(shared["base"], residual)
        params = structs.AvatarParams(shared, combined)
        signals = nerf.with_predicted_lips(model, shared, signals, audio_windows)
        frames = signals.head.shape[0]
        cells, where = sampling.random_cells(key, (frames, points), model.sampling)
        found = nerf.density(model, params, where, signals)
        return sampling.update_density(
            grid, cells.reshape(-1), found.reshape(-1), model.sampling
        )

    keys = step_keys(state.seed + 1, state.step, state.ids)
    inputs = (state.params["identity"], state.density)
    inputs += (batch.signals, batch.audio_windows, keys)
    _, density = jax.lax.scan(visit, None, slots_first(inputs, spec.lanes))
    return state._replace(density=identities_first(density)), None


def compile_steps(
    spec: StepSpec, shardings: structs.TrainState, by_identity: jax.sharding.Sharding
) -> tuple[Callable, Callable]:
    """The two steps as compiled programs, to which the state is donated.

    Args:
      spec: of the steps.
      shardings: of the state.
      by_identity: sharding of the metrics [N].

    Returns:
      train(state, batch, lpips_params=None) and density(state, batch).
    """
    return (
        jax.jit(
            functools.partial(train_step, spec),
            donate_argnums=0,
            out_shardings=(shardings, by_identity),
        ),
        jax.jit(
            functools.partial(density_step, spec),
            donate_argnums=0,
            out_shardings=shardings,
        ),
    )
