"""Some of many identities take part in a step."""

import collections
import json

import jax
import numpy as np
import pytest
import tiny_folder
import tiny_model
import tiny_train

from benchmarks.scaling_measured import collectives as collectives_of
from lokitalk_jax import sharding, structs
from lokitalk_jax.data import turns
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.data.turns import Turns
from lokitalk_jax.training import train_step


@pytest.mark.parametrize("turn", [Turns(1, 7, 3), Turns(4, 5, 2), Turns(2, 6, 4)])
def test_identities_take_part_equally_often(turn):
    seen = collections.Counter()
    for step in range(turn.slots):
        rows = turn.rows(step)
        assert len(set(rows)) == turn.count
        seen.update(rows.tolist())
    assert seen == dict.fromkeys(range(turn.lanes * turn.slots), turn.active)
    assert turn.round(turn.slots - 1) < turn.round(turn.slots) == turn.active


def test_turns_of_a_config():
    assert turns.make(40, 1, 0) is None and turns.make(8, 4, 8) is None
    assert turns.make(40, 1, 6) == Turns(1, 40, 6)
    assert turns.make(40, 8, 9) == Turns(8, 5, 2)
    with pytest.raises(ValueError, match="identities_per_step=-1"):
        turns.make(4, 1, -1)


def test_a_batch_holds_the_rows_of_the_step(tmp_path):
    datasets = [
        Dataset.open(tiny_folder.write(tmp_path / f"p{i}", seed=i), 16)
        for i in range(3)
    ]
    datasets.append(None)
    signals = {
        data.name: tiny_model.batch(tiny_model.config(), 1).signals._replace(
            lip=np.zeros((len(data.images), 3), np.float32),
            eye=np.zeros((len(data.images), len(structs.EYE_REST)), np.float32),
            head=np.zeros((len(data.images), 6), np.float32),
            torso=np.zeros((len(data.images), 18), np.float32),
        )
        for data in datasets[:3]
    }
    drawing = Drawing(frames=2, rays=5)
    whole = Loader(datasets, signals, drawing, seed=4)
    turn = Turns(1, 4, 3)
    some = Loader(datasets, signals, drawing, seed=4, turns=turn)
    for step in (0, 1, 6):
        rows = turn.rows(step)
        expected, found = whole.batch(step), some.batch(step)
        assert found.weight.tolist() == [float(row < 3) for row in rows]
        for name in ("pixels", "rgb", "head_to_camera", "weight"):
            np.testing.assert_array_equal(
                getattr(found, name), getattr(expected, name)[rows], name
            )


def _config(identities: int):
    c = tiny_model.config()
    c.loss.smoothness = 0.0
    c.train.identities_per_step = identities
    return c


def _equal(one, other) -> None:
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one), other)


def _close(one, other) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), one, other
    )


def test_a_step_is_that_of_its_identities_and_leaves_the_others():
    c, count = _config(2), 5
    state = tiny_model.random_state(c, count)._replace(step=np.int32(2))
    turn = Turns(1, count, 2)
    rows = turn.rows(2)
    assert rows.tolist() == [4, 0]
    batch = tiny_model.batch(c, 2)
    spec = tiny_model.spec(c, count)
    assert spec.turns == turn
    alone = spec._replace(identities=2, turns=None)

    def take(path, leaf):
        return leaf[rows] if sharding.splits(path, leaf) else leaf

    def rest(path, leaf):
        return np.asarray(leaf)[1:4] if sharding.splits(path, leaf) else 0

    state = jax.device_get(state)
    few = jax.tree_util.tree_map_with_path(take, state)
    for advance in (train_step.train_step, lambda *a: (train_step.density_step(*a), 0)):
        found, _ = jax.jit(lambda s, b, f=advance: f(spec, s, b))(state, batch)
        expected, _ = jax.jit(lambda s, b, f=advance: f(alone, s, b))(few, batch)
        # Another program rounds differently.
        _close(jax.tree_util.tree_map_with_path(take, found), expected)
        _equal(
            jax.tree_util.tree_map_with_path(rest, found),
            jax.tree_util.tree_map_with_path(rest, state),
        )


def test_turns_on_many_devices_communicate_as_before():
    c = _config(8)
    mesh = sharding.make_mesh(16)
    assert tuple(mesh.shape.values()) == (8, 1)
    state = tiny_model.random_state(c, 16)
    shardings = sharding.state_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    batch = tiny_model.batch(c, 8)
    batch = jax.device_put(batch, sharding.batch_shardings(batch, mesh))
    spec = tiny_model.spec(c, 16, lanes=8)
    assert spec.turns == Turns(8, 2, 1)
    train, density = train_step.compile_steps(
        spec, shardings, sharding.by_identity(mesh)
    )
    program = train.lower(state, batch, None).compile(tiny_model.COMPILE_FAST)
    assert [kind for kind, _ in collectives_of(program.as_text())] == ["all-reduce"]
    program = density.lower(state, batch).compile(tiny_model.COMPILE_FAST)
    assert collectives_of(program.as_text()) == []


@pytest.mark.heavy
def test_a_run_with_turns_trains_and_logs_the_identities_of_the_step(people, tmp_path):
    run = tmp_path / "run"
    more = ["--config.train.identities_per_step=1", "--config.train.steps=12"]
    tiny_train.finish(tiny_train.start(people, run, devices=1, more=more), run)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    logged = [
        [key for key in json.loads(line) if key.startswith("psnr/")] for line in lines
    ]
    # Logged are the steps 3, 7 and 11 of three people.
    assert [names for names in logged if names] == [
        ["psnr/anna"],
        ["psnr/bert"],
        ["psnr/carl"],
    ]
