"""Placement on a mesh, and gradients that do not depend on it."""

import functools

import jax
import numpy as np
import pytest
import tiny_model
from jax.sharding import PartitionSpec as P

from lokitalk_jax import sharding
from lokitalk_jax.model import architecture, canonical
from lokitalk_jax.structs import Batch
from lokitalk_jax.training import lanes, losses, train_step

CONFIG = tiny_model.config(encoder=True)
MODEL = architecture.from_config(CONFIG)
PEOPLE = 5
IDS = tuple(range(100, 100 + PEOPLE))


@pytest.mark.parametrize(
    ("identities", "asked", "shape"),
    [
        (1, 0, (1, 8)),
        (3, 0, (2, 4)),
        (5, 0, (4, 2)),
        (8, 0, (8, 1)),
        (100, 0, (8, 1)),
        (5, 8, (8, 1)),
    ],
)
def test_the_mesh_takes_the_largest_axis_that_identities_fill(identities, asked, shape):
    mesh = sharding.make_mesh(identities, asked)
    assert tuple(mesh.shape.values()) == shape
    slots = sharding.padded(identities, mesh)
    assert slots >= identities and slots % shape[0] == 0
    assert slots - identities < shape[0]


def test_a_mesh_that_does_not_divide_the_devices_is_refused():
    with pytest.raises(ValueError, match="mesh.identity=3 .* 8 devices"):
        sharding.make_mesh(5, 3)


def test_exactly_the_leaves_of_identities_are_split():
    mesh = sharding.make_mesh(8, 8)
    shapes = jax.eval_shape(lambda: tiny_model.random_state(CONFIG, 8))
    placed = jax.tree_util.tree_leaves_with_path(sharding.state_shardings(shapes, mesh))
    split = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, where in placed
        if where.spec == P("identity")
    }
    whole = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, where in placed
        if where.spec == P()
    }
    assert len(split) + len(whole) == len(placed)
    assert {"density", "first_bad", "params/identity/grid"} <= split
    assert {"step", "params/shared/base/grid"} <= whole
    assert not any("shared" in name for name in split)
    moments = {n for n in whole if n.startswith("moments") and "identity" in n}
    assert not moments
    assert sum("mu/identity" in n for n in split) == sum(
        n.startswith("params/identity") for n in split
    )


def gradients(mesh: jax.sharding.Mesh, batch: Batch):
    """Gradients and losses of `PEOPLE` and padding, on a mesh."""
    count = sharding.padded(PEOPLE, mesh)
    ids = [*IDS, *range(count - PEOPLE)]
    state = tiny_model.random_state(CONFIG, PEOPLE, seed=3)
    # Random numbers draw opaque fog, of which gradients see only the front.
    shared = state.params["shared"]
    shared |= {"static": canonical.thinned(shared["static"], 1.5)}
    state = pad_state(state._replace(params=state.params | {"shared": shared}), count)
    state = jax.device_put(state, sharding.state_shardings(state, mesh))
    batch = jax.device_put(batch, sharding.batch_shardings(batch, mesh))

    @functools.partial(jax.jit, compiler_options=tiny_model.COMPILE_FAST)
    def run(state, batch):
        def loss(shared, residual, one):
            grid, part, key = one
            weights = tiny_model.weights(CONFIG)
            return losses.identity_loss(
                MODEL, weights, shared, residual, grid, part, key
            )

        keys = train_step.step_keys(0, state.step, ids)
        slices = (state.density, batch, keys)
        return lanes.gradients(
            loss, state.params, slices, batch.weight, mesh.shape["identity"]
        )

    grads, metrics = jax.device_get(run(state, batch))
    return grads, metrics["loss"]


def pad_state(state, count: int):
    def pad(path, leaf):
        if not sharding.leads_with_identity(path) or leaf.ndim == 0:
            return leaf
        # What padding holds must not matter.
        extra = np.full((count - len(leaf), *leaf.shape[1:]), 0.37, leaf.dtype)
        return np.concatenate([leaf, extra])

    return jax.tree_util.tree_map_with_path(pad, jax.device_get(state))


def people(padding: int = 0) -> Batch:
    """A batch whose gradients are large compared with the tolerance."""
    return tiny_model.batch(CONFIG, PEOPLE, padding, seed=3)


@functools.cache
def one_device():
    """The gradients on a mesh of one device."""
    mesh = sharding.make_mesh(PEOPLE, 1, jax.devices()[:1])
    return gradients(mesh, people())


@pytest.mark.parametrize(
    "shape",
    [(8, 1), (4, 2)],
    ids=["padded", "two slots a lane, rays split too"],
)
def test_gradients_do_not_depend_on_the_mesh(shape):
    devices = jax.devices()[: shape[0] * shape[1]]
    mesh = sharding.make_mesh(PEOPLE, shape[0], devices)
    padding = sharding.padded(PEOPLE, mesh) - PEOPLE
    assert padding > 0
    grads, loss = gradients(mesh, people(padding))
    wanted, wanted_loss = one_device()
    np.testing.assert_allclose(loss[:PEOPLE], wanted_loss, rtol=1e-5)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
    assert largest > 1e-2
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, grads["shared"], wanted["shared"])
    jax.tree.map(
        lambda a, b: close(a[:PEOPLE], b), grads["identity"], wanted["identity"]
    )
    for leaf in jax.tree.leaves(grads["identity"]):
        np.testing.assert_array_equal(leaf[PEOPLE:], 0)


def test_slots_of_processes_make_up_the_batch():
    """The slots of all processes together are the batch of one process."""
    mesh = sharding.make_mesh(8, 4)
    batch = tiny_model.batch(CONFIG, 8)
    slots = sharding.owned_slots(8, mesh)
    assert slots == list(range(8))
    shuffled = [3, 1, 7, 0, 2, 5, 4, 6]
    local = jax.tree.map(lambda leaf: leaf[shuffled], batch)
    placed = sharding.put_batch(local, shuffled, 8, mesh)
    jax.tree.map(np.testing.assert_array_equal, placed, batch)
    assert placed.rgb.sharding.spec == P("identity", None, "data")


def test_a_row_is_read_from_the_device_that_holds_it():
    mesh = sharding.make_mesh(8, 8)
    rows = jax.device_put(np.arange(16.0).reshape(16, 1), sharding.by_identity(mesh))
    assert sharding.local_slice({"a": rows}, 11)["a"] == 11
    with pytest.raises(ValueError, match="slot=16"):
        sharding.local_slice(rows, 16)
