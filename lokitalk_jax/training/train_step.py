"""One pure training step of all identities.

The loss is written for one identity. On a mesh with D devices along `identity`, the N
identities are D lanes of K slots: lanes run side by side, slots one after the other,
so that a device holds the intermediate values of one identity at a time. Gradients of
the shared parameters are summed over slots on the device and over lanes once, which is
the only communication of a step on a mesh (D, 1).
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax

from lokitalk_jax import sharding, structs
from lokitalk_jax.model import identity, nerf, sampling
from lokitalk_jax.structs import Batch
from lokitalk_jax.training.losses import LossWeights, identity_loss

Array = jax.Array


def init_state(
    model: nerf.Model, optimizer, seed: int | Array, identities: int
) -> structs.TrainState:
    """A fresh state for N identities."""
    params = nerf.init(model, jax.random.key(seed), identities)
    grid = sampling.init_density(model.sampling)
    return structs.TrainState(
        seed=jnp.uint32(seed),
        step=jnp.int32(0),
        first_bad=jnp.full(identities, -1, jnp.int32),
        params=params,
        moments=optimizer.init(params),
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
    model: nerf.Model,
    weights: LossWeights,
    optimizer: optax.GradientTransformation,
    ids: tuple[int, ...],
    lanes: int,
    state: structs.TrainState,
    batch: Batch,
    lpips_params=None,
) -> tuple[structs.TrainState, dict]:
    """One step of gradient descent on all identities.

    Args:
      model: the model.
      weights: of the losses.
      optimizer: its state is in `state.moments`.
      ids: [N], a number for each identity that does not depend on its slot.
      lanes: D, devices along the mesh axis `identity`.
      state: before the step; may be donated.
      batch: leaves lead with N.
      lpips_params: switches the perceptual term on; rays are then patches.

    Returns:
      the state after the step, and metrics [N] by name.
    """

    def loss(shared, own, one):
        grid, part, key = one
        return identity_loss(model, weights, shared, own, grid, part, key, lpips_params)

    slices = (state.density, batch, step_keys(state.seed, state.step, ids))
    grads, metrics = gradients(loss, state.params, slices, batch.weight, lanes)
    updates, moments = optimizer.update(grads, state.moments, state.params)
    bad = ~jnp.isfinite(metrics["loss"]) & (batch.weight > 0)
    return state._replace(
        step=state.step + 1,
        first_bad=jnp.where((state.first_bad < 0) & bad, state.step, state.first_bad),
        params=optax.apply_updates(state.params, updates),
        moments=moments,
    ), metrics


def density_step(
    model: nerf.Model,
    points: int,
    ids: tuple[int, ...],
    lanes: int,
    state: structs.TrainState,
    batch: Batch,
) -> structs.TrainState:
    """Visits random cells of the density grids, under the batch's signals.

    Args:
      model: the model.
      points: cells visited for each frame of the batch.
      ids, lanes, state, batch: see `train_step`.
    """

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

    keys = step_keys(state.seed + 1, state.step, ids)
    inputs = (state.params["identity"], state.density)
    inputs += (batch.signals, batch.audio_windows, keys)
    _, density = jax.lax.scan(visit, None, _slots_first(inputs, lanes))
    return state._replace(density=_identities_first(density))


def compile_steps(
    model, weights, optimizer, ids, lanes, points, shardings, by_identity
):
    """The two steps as compiled programs with donated states.

    Args:
      model, weights, optimizer, ids, lanes: see `train_step`.
      points: see `density_step`.
      shardings: of the state.
      by_identity: sharding of the metrics [N].

    Returns:
      train(state, batch[, lpips_params]) and density(state, batch).
    """
    train = functools.partial(train_step, model, weights, optimizer, tuple(ids), lanes)
    density = functools.partial(density_step, model, points, tuple(ids), lanes)
    return (
        jax.jit(train, donate_argnums=0, out_shardings=(shardings, by_identity)),
        jax.jit(density, donate_argnums=0, out_shardings=shardings),
    )
