"""Gradients of all identities from the loss of one.

On a mesh with `lanes` devices along the axis `identity`, the N identities are that many
lanes of slots: lanes run in parallel, slots one after the other, so that a device holds
the intermediate values of one identity at a time. Gradients of the shared parameters
are summed over slots on the device, and over lanes once, which is the only
communication of a step on a mesh (lanes, 1).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Array = jax.Array


def slots_first(tree, lanes: int):
    """[N, ...] as [slots, lanes, ...]."""
    return jax.tree.map(
        lambda x: jnp.swapaxes(x.reshape(lanes, -1, *x.shape[1:]), 0, 1), tree
    )


def identities_first(tree):
    """[slots, lanes, ...] as [N, ...]; the inverse of `slots_first`."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:]), tree)


def gradients(
    loss: Callable, params: dict, slices, weight: Array, lanes: int
) -> tuple[dict, dict]:
    """Gradients of the weighted mean loss over identities.

    Args:
      loss: (shared, residual, slice) -> loss and metrics, of one identity.
      params: {'shared': ..., 'identity': ...}; the latter are residuals.
      slices: tree whose leaves lead with N, a slice for each identity.
      weight: [N], share of each identity in the mean, up to a factor.
      lanes: devices along the mesh axis `identity`.

    Returns:
      gradients like `params`, and metrics [N].
    """

    def weighted(shared, residual, one, share):
        value, metrics = loss(shared, residual, one)
        return share * value, metrics

    lane_gradients = jax.vmap(
        jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True),
        in_axes=(None, 0, 0, 0),
    )

    def slot(total, inputs):
        (_, metrics), (shared, residual) = lane_gradients(params["shared"], *inputs)
        return jax.tree.map(jnp.add, total, shared), (residual, metrics)

    inputs = slots_first((params["identity"], slices, weight), lanes)
    lane_weight = jnp.sum(inputs[-1], axis=0)
    zeros = jax.tree.map(
        lambda x: jnp.zeros((lanes, *x.shape), x.dtype), params["shared"]
    )
    shared, (residual, metrics) = jax.lax.scan(slot, zeros, inputs)
    # The only sum over lanes. The total weight is sent with the gradients and divides
    # them afterwards: dividing first would need a message of its own.
    total, shares = jax.tree.map(lambda x: jnp.sum(x, axis=0), (shared, lane_weight))
    residual, metrics = identities_first((residual, metrics))
    grads = {"shared": total, "identity": residual}
    return jax.tree.map(lambda x: x / shares, grads), metrics
