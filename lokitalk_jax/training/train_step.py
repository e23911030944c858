"""One pure training step of all identities.

The loss is written for one identity. On a mesh with D devices along `identity`, the N
identities are D lanes of K slots: lanes run side by side, slots one after the other,
so that a device holds the intermediate values of one identity at a time. Gradients of
the shared parameters are summed over slots on the device and over lanes once, which is
the only communication of a step on a mesh (D, 1).
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from lokitalk_jax import sharding, structs
from lokitalk_jax.model import identity, nerf, sampling
from lokitalk_jax.structs import Batch
from lokitalk_jax.training import optimizer
from lokitalk_jax.training.losses import LossWeights, identity_loss

Array = jax.Array


class StepSpec(NamedTuple):
    """What a training step does; static.

    Attributes:
      model: the model.
      weights: of the losses.
      optimizer: its state is in `TrainState.moments`.
      ids: [N], a number for each slot that depends on its identity alone.
      lanes: D, devices along the mesh axis `identity`.
      density_points: cells of a density grid visited for each frame of a batch.
    """

    model: nerf.Model
    weights: LossWeights
    optimizer: optax.GradientTransformation
    ids: tuple[int, ...]
    lanes: int
    density_points: int


def from_config(
    config: ml_collections.ConfigDict, ids: Sequence[int], lanes: int
) -> StepSpec:
    """The step of a config; for `ids` and `lanes` see `StepSpec`.

    Raises:
      ValueError: the config names something unknown.
    """
    return StepSpec(
        model=nerf.from_config(config),
        weights=LossWeights(**config.loss),
        optimizer=optimizer.from_config(config),
        ids=tuple(ids),
        lanes=lanes,
        density_points=config.train.density_points,
    )


def init_state(spec: StepSpec, seed: int | Array) -> structs.TrainState:
    """A fresh state for N identities."""
    identities = len(spec.ids)
    params = nerf.init(spec.model, jax.random.key(seed), identities)
    grid = sampling.init_density(spec.model.sampling)
    return structs.TrainState(
        seed=jnp.uint32(seed),
        step=jnp.int32(0),
        first_bad=jnp.full(identities, -1, jnp.int32),
        params=params,
        moments=spec.optimizer.init(params),
        density=jnp.broadcast_to(grid, (identities, *grid.shape)),
    )


def avatar_params(state: structs.TrainState, slot: int) -> structs.AvatarParams:
    """One identity's parameters, on a device of this process, which must own them."""
    parts = (
        sharding.local(state.params["shared"]),
        *sharding.local_slice((state.params["identity"], state.density), slot),
    )
    shared, residual, grid = jax.device_put(parts, jax.local_devices()[0])
    return structs.AvatarParams(
        shared, identity.combine(shared["base"], residual), grid
    )


def step_keys(seed: int | Array, step: Array, ids: Sequence[int]) -> Array:
    """Random keys [N], functions of (seed, step, identity) alone."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.array(ids, jnp.uint32))


def _slots_first(tree, lanes: int):
    """[N, ...] as [K, D, ...]: slot k of every lane."""
    return jax.tree.map(
        lambda x: jnp.swapaxes(x.reshape(lanes, -1, *x.shape[1:]), 0, 1), tree
    )


def _identities_first(tree):
    """[K, D, ...] as [N, ...]; undoes `_slots_first`."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:]), tree)


def gradients(loss: Callable, params: dict, slices, weight: Array, lanes: int):
    """Gradients of the weighted mean loss over identities.

    Args:
      loss: (shared, own, slice) -> loss and metrics, of one identity.
      params: {'shared': ..., 'identity': ...}.
      slices: tree that leads with N, one slice for each identity.
      weight: [N], share of each identity in the mean, up to a factor.
      lanes: D.

    Returns:
      gradients like `params`, and metrics [N].
    """

    def weighted(shared, own, one, share):
        value, metrics = loss(shared, own, one)
        return share * value, metrics

    lane_gradients = jax.vmap(
        jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True),
        in_axes=(None, 0, 0, 0),
    )

    def slot(total, inputs):
        (_, metrics), (shared, own) = lane_gradients(params["shared"], *inputs)
        return jax.tree.map(jnp.add, total, shared), (own, metrics)

    inputs = _slots_first((params["identity"], slices, weight), lanes)
    lane_weight = jnp.sum(inputs[-1], axis=0)
    zeros = jax.tree.map(
        lambda x: jnp.zeros((lanes, *x.shape), x.dtype), params["shared"]
    )
    shared, (own, metrics) = jax.lax.scan(slot, zeros, inputs)
    # The only sum over lanes. The total weight travels with the gradients and divides
    # afterwards: dividing before would wait for a message of its own.
    total, shares = jax.tree.map(lambda x: jnp.sum(x, axis=0), (shared, lane_weight))
    own, metrics = _identities_first((own, metrics))
    mean = jax.tree.map(lambda x: x / shares, {"shared": total, "identity": own})
    return mean, metrics


def train_step(
    spec: StepSpec, state: structs.TrainState, batch: Batch, lpips_params=None
) -> tuple[structs.TrainState, dict]:
    """One step of gradient descent on all identities.

    Args:
      spec: what the step does.
      state: before the step; may be donated.
      batch: leaves lead with N.
      lpips_params: switches the perceptual term on; rays are then patches.

    Returns:
      the state after the step, and metrics [N] by name.
    """

    def loss(shared, own, one):
        grid, part, key = one
        return identity_loss(
            spec.model, spec.weights, shared, own, grid, part, key, lpips_params
        )

    slices = (state.density, batch, step_keys(state.seed, state.step, spec.ids))
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
    """Visits random cells of the density grids, under the batch's signals.

    Arguments as of `train_step`.
    """
    model, points = spec.model, spec.density_points

    def visit(_, inputs):
        return None, jax.vmap(one)(*inputs)

    def one(own, grid, signals, audio_windows, key):
        shared = state.params["shared"]
        params = structs.AvatarParams(shared, identity.combine(shared["base"], own))
        lip_key = jax.random.fold_in(key, 2)
        signals = nerf.with_predicted_lips(
            model, shared, signals, audio_windows, lip_key
        )
        frames = signals.head.shape[0]
        cells, where = sampling.random_cells(key, (frames, points), model.sampling)
        found = nerf.density(model, params, where, signals)
        return sampling.update_density(
            grid, cells.reshape(-1), found.reshape(-1), model.sampling
        )

    keys = step_keys(state.seed + 1, state.step, spec.ids)
    inputs = (state.params["identity"], state.density)
    inputs += (batch.signals, batch.audio_windows, keys)
    _, density = jax.lax.scan(visit, None, _slots_first(inputs, spec.lanes))
    return state._replace(density=_identities_first(density))


def compile_steps(
    spec: StepSpec, shardings: structs.TrainState, by_identity: jax.sharding.Sharding
) -> tuple[Callable, Callable]:
    """The two steps as compiled programs, to which the state is donated.

    Args:
      spec: what the steps do.
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
