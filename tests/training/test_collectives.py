"""Communication of the compiled steps: one sum of shared gradients."""

import jax
import pytest
import tiny_model
from jax.sharding import PartitionSpec as P

from benchmarks.scaling_measured import collectives
from lokitalk_jax import sharding
from lokitalk_jax.training import train_step

CONFIG = tiny_model.config(encoder=True)


@pytest.fixture(scope="module")
def compiled():
    """Both steps for 16 identities on a mesh (8, 1), two slots a lane."""
    mesh = sharding.make_mesh(16)
    assert tuple(mesh.shape.values()) == (8, 1)
    state = tiny_model.random_state(CONFIG, 16)
    shardings = sharding.state_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    batch = tiny_model.batch(CONFIG, 16)
    batch = jax.device_put(batch, sharding.batch_shardings(batch, mesh))
    train, density = train_step.compile_steps(
        tiny_model.spec(CONFIG, 16, lanes=8), shardings, sharding.by_identity(mesh)
    )
    programs = (
        train.lower(state, batch, None).compile(tiny_model.COMPILE_FAST),
        density.lower(state, batch).compile(tiny_model.COMPILE_FAST),
    )
    return state, programs


def test_the_train_step_sums_shared_gradients_once(compiled):
    state, (train, _) = compiled
    found = collectives(train.as_text())
    assert [kind for kind, _ in found] == ["all-reduce"], found
    # It has all of the shared parameters and the weight, a scalar.
    shared = sum(leaf.nbytes for leaf in jax.tree.leaves(state.params["shared"]))
    assert shared <= found[0][1] <= shared + 4


def test_the_density_step_does_not_communicate(compiled):
    _, (_, density) = compiled
    assert collectives(density.as_text()) == []


def test_metrics_stay_with_their_identities(compiled):
    _, (train, _) = compiled
    _, metrics = train.output_shardings
    assert metrics and all(s.spec == P("identity") for s in metrics.values())


def test_the_pattern_finds_a_collective():
    """An all-gather by request is found."""
    mesh = sharding.make_mesh(8)
    rows = jax.device_put(jax.numpy.ones((8, 4)), sharding.by_identity(mesh))
    everywhere = jax.sharding.NamedSharding(mesh, P())
    program = jax.jit(lambda x: x * 2, out_shardings=everywhere).lower(rows).compile()
    assert [kind for kind, _ in collectives(program.as_text())] == ["all-gather"]
