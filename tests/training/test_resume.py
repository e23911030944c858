"""A run that was stopped, in whatever way, resumes to the same result."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest
import tiny_model
import tiny_train
from jax.sharding import PartitionSpec as P

from configs import multi_id
from lokitalk_jax import sharding
from lokitalk_jax.checkpoint.store import Checkpoints
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.speech import lip_sync
from lokitalk_jax.training import resuming, trainer

pytestmark = pytest.mark.timeout(600)

# Colours of one person at step 6 are not numbers.
POISON = """
import runpy
from lokitalk_jax.data import loader
draw = loader.Loader.batch
def poisoned(self, step):
    batch = draw(self, step)
    if step == 6:
        batch.rgb[1] = float("nan")
    return batch
loader.Loader.batch = poisoned
runpy.run_path("train.py", run_name="__main__")
"""


def load(workdir, step: int):
    """A checkpoint of a tiny run, on one device."""
    checkpoints = Checkpoints(workdir, every=None, keep=None)
    count = len(tiny_train.NAMES)
    mesh = sharding.make_mesh(count, 1, jax.devices()[:1])
    template = tiny_model.random_state(tiny_model.config(), count)
    state = checkpoints.restore(step, template, mesh)
    checkpoints.close()
    return jax.device_get(state)


def metrics(workdir) -> dict[int, dict]:
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line for line in lines}


def test_a_run_stopped_in_every_way_resumes_to_the_same_result(
    people, whole_run, tmp_path
):
    run = tmp_path / "run"
    # Its loss is not finite: it stops, says where, and keeps what was good.
    broken = tiny_train.start(people, run, script=POISON)
    assert broken.wait() == 1
    assert "loss of bert was not finite at step 6" in tiny_train.log(run)
    assert tiny_train.saved(run) == [4]
    # It is killed, whatever it was doing.
    killed = tiny_train.start(people, run)
    tiny_train.wait_for_checkpoint(killed, run, after=4)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    reached = tiny_train.saved(run)[-1]
    assert 4 < reached < tiny_train.STEPS
    # It is asked to stop: it saves where it is.
    asked = tiny_train.start(people, run)
    tiny_train.wait_for_checkpoint(asked, run, after=reached)
    with pytest.raises(ValueError, match=f"{run} is in use by process {asked.pid} on"):
        trainer.train(resume_config(people), run)
    asked.terminate()
    tiny_train.finish(asked, run, status=75)
    left = tiny_train.saved(run)[-1]
    assert reached < left < tiny_train.STEPS
    assert f"train.py: stopped by SIGTERM: saved at step {left}" in tiny_train.log(run)
    # Ctrl-C does the same, before the first step too. The data has moved.
    moved = tmp_path / "moved"
    shutil.copytree(people, moved)
    interrupted = tiny_train.start(f"{moved}/", run)
    tiny_train.wait_for_words(interrupted, run, f"resuming {run} at step {left}")
    interrupted.send_signal(signal.SIGINT)
    tiny_train.finish(interrupted, run, status=130)
    assert f"train.py: interrupted: saved at step {left + 1}" in tiny_train.log(run)
    assert tiny_train.saved(run)[-1] == left + 1
    assert "Traceback" not in tiny_train.log(run)
    assert not (run / ".lock").exists()

    # Both saved at every fourth step; this one comes after all that was resumed.
    step = [one for one in tiny_train.saved(run) if one % 4 == 0][-1]
    assert step > reached
    got, wanted = load(run, step), load(whole_run, step)
    assert got.step == step
    assert np.abs(wanted.params["shared"]["base"]["grid"]).max() > 0.01
    assert wanted.density.std() > 0
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    ours, theirs = metrics(run)[step], metrics(whole_run)[step]
    timing = {"time", "steps_per_second"}
    assert ours.keys() == theirs.keys() and timing < ours.keys()
    assert all(ours[k] == theirs[k] for k in ours.keys() - timing)


def resume_config(people, **changes):
    c = tiny_train.config(people)
    c.update_from_flattened_dict(changes)
    return c


def test_other_fields_are_refused_by_name(people, whole_run):
    other = resume_config(people, **{"model.octaves": 3, "lr.code": 0.5})
    with pytest.raises(ValueError, match="lr.code was .* and is 0.5; model.octaves"):
        trainer.train(other, whole_run)


def test_other_identities_are_refused_by_name(people, whole_run, tmp_path):
    (tmp_path / "zoe").symlink_to(people / "anna")
    c = resume_config(tmp_path)
    with pytest.raises(ValueError, match="trained on anna, bert, carl.*holds anna"):
        trainer.train(c, whole_run)


def test_other_folders_of_the_same_names_are_refused(people, whole_run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(people, moved)
    shutil.copy(moved / "anna" / "tracks.npz", moved / "bert" / "tracks.npz")
    with pytest.raises(ValueError, match="other clips of bert than .*another workdir"):
        trainer.train(resume_config(moved), whole_run)


@pytest.fixture
def begun(people, tmp_path):
    """A config, its copy of the people, and a run of it that was saved once."""
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(people, data)
    for path in data.iterdir():
        FolderWriter(path).write_sound(np.sin(np.arange(14_080)).astype(np.float32))
    c = resume_config(data)
    session = trainer.build_session(c)
    checkpoints = Checkpoints(run, every=1, keep=2)
    people, fitted = session.training_set.names, session.training_set.fitted.to_arrays()
    checkpoints.save(4, session.state, people, fitted, c.to_dict(), session.origin)
    checkpoints.close()
    return c, data, run


def test_another_clip_at_the_same_place_is_refused(begun):
    c, data, run = begun
    shutil.copy(data / "anna" / "tracks.npz", data / "bert" / "tracks.npz")
    with pytest.raises(ValueError, match="other clips of bert than .*restore these"):
        trainer.train(c, run)
    assert not list(run.glob("clips/*"))


def test_sound_put_in_step_since_matters_to_runs_that_hear_it(begun):
    c, data, run = begun
    lip_sync.correct(data / "carl", 120)
    session = trainer.build_session(c)
    checkpoints = Checkpoints(run, every=1, keep=2)
    assert resuming.restore(session, checkpoints, run)[0] == 4
    hearing = session._replace(config=resume_config(data, lips="audio"))
    with pytest.raises(ValueError, match="other clips of carl than"):
        resuming.restore(hearing, checkpoints, run)
    checkpoints.close()


@pytest.mark.parametrize(
    "field",
    [
        "steps",
        "density_every",
        "patch",
        "log_every",
        "preview_every",
        "checkpoint_every",
        "keep",
    ],
)
def test_counts_of_none_are_refused(people, tmp_path, field):
    c = resume_config(people, **{f"train.{field}": 0})
    with pytest.raises(ValueError, match=f"train.{field}=0 must be at least 1"):
        trainer.train(c, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_model_than_the_saved_one_is_refused(whole_run):
    checkpoints = Checkpoints(whole_run, every=None, keep=None)
    c = tiny_model.config()
    c.model.deform_width = 16
    mesh = sharding.make_mesh(3, 1, jax.devices()[:1])
    with pytest.raises(ValueError, match="does not fit this config's model.*kernel"):
        checkpoints.restore(
            checkpoints.latest_step(), tiny_model.random_state(c, 3), mesh
        )
    checkpoints.close()


@pytest.fixture(scope="module")
def five_identities(tmp_path_factory):
    """A state of five identities on eight devices, with three slots of padding."""
    workdir = tmp_path_factory.mktemp("five")
    mesh = sharding.make_mesh(5, 8)
    state = tiny_model.random_state(tiny_model.config(), sharding.padded(5, mesh))
    state = state._replace(step=state.step + 7)
    state = jax.device_put(state, sharding.state_shardings(state, mesh))
    checkpoints = Checkpoints(workdir, every=1, keep=2)
    names = ["a", "b", "c", "d", "e"]
    config = multi_id.get_config("draft_cpu").to_dict()
    checkpoints.save(7, state, names, {"lip_basis": np.eye(3)}, config, {})
    checkpoints.close()
    return workdir, jax.device_get(state)


@pytest.mark.parametrize("devices", [1, 4, 8])
def test_five_identities_saved_on_eight_devices_restore_on(five_identities, devices):
    workdir, saved = five_identities
    mesh = sharding.make_mesh(5, devices, jax.devices()[:devices])
    count = sharding.padded(5, mesh)
    template = tiny_model.random_state(tiny_model.config(), count)
    template = template._replace(params=jax.tree.map(lambda x: 0 * x, template.params))
    template = jax.device_put(template, sharding.state_shardings(template, mesh))
    checkpoints = Checkpoints(workdir, every=None, keep=None)
    restored = checkpoints.restore(7, template, mesh)
    assert checkpoints.meta(7)["identities"] == ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(checkpoints.signals(7)["lip_basis"], np.eye(3))
    checkpoints.close()

    def same(path, got, wanted, fresh):
        if sharding.leads_with_identity(path) and got.ndim:
            assert got.sharding.spec == P("identity")
            np.testing.assert_array_equal(got[:5], wanted[:5])
            np.testing.assert_array_equal(got[5:], fresh[5:])
        else:
            np.testing.assert_array_equal(got, wanted)

    jax.tree_util.tree_map_with_path(same, restored, saved, template)


def test_the_end_of_a_stage_is_saved_before_the_next_one_compiles(
    people, tmp_path, monkeypatch
):
    changes = {"steps": 3, "coarse": 0.4, "coarse_size": 16, "checkpoint_every": 100}
    c = resume_config(people, **{f"train.{k}": v for k, v in changes.items()})
    session = trainer.build_session(c, tmp_path)

    def advance(state, step, batch):
        slots = len(state.density)
        return state, {"loss": np.ones(slots), "psnr": np.ones(slots)}

    monkeypatch.setattr(
        trainer, "build_session", lambda *_: session._replace(advance=advance)
    )
    monkeypatch.setattr(trainer.previews, "write", lambda *_: None)
    trainer.train(c, tmp_path / "run")
    assert tiny_train.saved(tmp_path / "run") == [1, 3]
