"""Newcomers: adapting a prior, and rendering from it at once."""

import hashlib
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny_model

from lokitalk_jax import demo
from lokitalk_jax.avatar import newcomer
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.training import optimizer, trainer


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Two people whom the prior has not seen."""
    root = tmp_path_factory.mktemp("strangers")
    demo.make_cast(root, identities=2, seconds=2, size=48, seed=77, workers=1)
    return root


def config(prior: pathlib.Path, data: pathlib.Path):
    c = tiny_model.config(encoder=True)
    c.data.root = str(data)
    c.prior = str(prior)
    # These are the prior's, whatever is said here.
    c.model.code = 9
    c.grid.levels = 3
    return c


def digest(root: pathlib.Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def adapted(tiny_run, strangers, tmp_path_factory):
    before = digest(tiny_run.workdir)
    workdir = tmp_path_factory.mktemp("adapted")
    c = config(tiny_run.workdir, strangers)
    c.shared = "frozen"
    trainer.train(c, workdir)
    assert digest(tiny_run.workdir) == before, "the prior was written to"
    return Run(workdir)


def test_frozen_common_parts_are_the_priors_and_own_parts_learn(tiny_run, adapted):
    prior = Run(tiny_run.workdir)
    jax.tree.map(
        np.testing.assert_array_equal,
        adapted.shared,
        newcomer.shared_parts(prior, frozen=True),
    )
    own = adapted.residuals
    seen = [None, None]
    for row, name in enumerate(adapted.identities):
        avatar, data = newcomer.zero_shot(prior, adapted.record(name).source)
        seen[row] = newcomer.reference_batch(prior, data, avatar.record)
        first = newcomer.initial_identity(prior, "encoder", seen[row])
        change = jax.tree.map(lambda a, b, i=row: np.abs(a[i] - b).max(), own, first)
        assert all(0 < leaf < 1 for leaf in jax.tree.leaves(change)), change


def test_surfaces_that_go_on_learning_start_thinner(tiny_run, strangers):
    prior = Run(tiny_run.workdir)
    avatar, _ = newcomer.zero_shot(prior, strangers / "demo_00")
    added = newcomer.initial_identity(prior, "mean", None)
    firm, thin = (
        newcomer.density(
            prior, newcomer.shared_parts(prior, frozen), avatar.record, added
        )
        for frozen in (True, False)
    )
    np.testing.assert_allclose(thin, firm / np.e, rtol=1e-3)


def test_newcomers_have_the_sizes_and_the_lips_of_the_prior(tiny_run, adapted):
    prior = Run(tiny_run.workdir)
    assert adapted.model.identity == prior.model.identity
    assert adapted.model.encoder is None and prior.model.encoder is not None
    np.testing.assert_array_equal(adapted.lip_basis, prior.lip_basis)


def test_sizes_that_a_prior_would_replace_are_refused_on_the_command_line(tmp_path):
    command = [sys.executable, "train.py", "--config=configs/adapt.py:cpu"]
    command += [f"--workdir={tmp_path / 'run'}", f"--config.prior={tmp_path}"]
    ended = subprocess.run(
        [*command, "--config.model.code=9"], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "--config.model.code has no effect where a prior is adapted" in ended.stderr
    assert not (tmp_path / "run").exists()
    # Whether newcomers have an offset is theirs to say.
    newcomer.refuse_inherited(["model.identity_offset", "train.steps"])


def test_adapting_without_a_prior_is_refused(tmp_path, strangers):
    command = [sys.executable, "train.py", "--config=configs/adapt.py:cpu"]
    command += [f"--workdir={tmp_path / 'run'}", f"--config.data.root={strangers}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "give --config.prior=RUN" in ended.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_people_whom_the_prior_knows_are_told(tiny_run, caplog):
    prior = Run(tiny_run.workdir)
    caplog.clear()
    newcomer.warn_of_known(prior, ["nobody", prior.identities[0]])
    (told,) = caplog.messages
    assert f"knows a {prior.identities[0]} already" in told


def test_the_encoder_tells_people_apart_and_the_mean_does_not(tiny_run, strangers):
    prior = Run(tiny_run.workdir)
    found = [
        newcomer.zero_shot(prior, path)
        for path in sorted(p for p in strangers.iterdir() if p.is_dir())
    ]
    seen = [
        newcomer.reference_batch(prior, data, avatar.record) for avatar, data in found
    ]
    told = [
        newcomer.initial_identity(prior, "encoder", one)["codes"]["dynamic"]
        for one in seen
    ]
    assert np.abs(told[0] - told[1]).max() > 1e-7
    mean = [
        newcomer.initial_identity(prior, "mean", one)["codes"]["dynamic"]
        for one in seen
    ]
    np.testing.assert_array_equal(*mean)


def test_zero_shot_renders_a_stranger(tiny_run, strangers):
    source = sorted(p for p in strangers.iterdir() if p.is_dir())[0]
    avatar, data = newcomer.zero_shot(Run(tiny_run.workdir), source)
    record = avatar.record
    held_out = int(record.test_frames[0])
    assert held_out not in record.train_frames
    rendered = avatar.renderer(
        record.head_to_camera[held_out],
        jax.tree.map(lambda x: x[held_out], record.signals),
        data.plate / np.float32(255),
    )
    assert rendered.rgb.shape == (*data.camera.shape, 3)
    assert np.isfinite(rendered.rgb).all() and rendered.alpha.max() > 0.1


def test_a_prior_without_encoder_can_start_people_at_the_mean_only(tiny_run, adapted):
    c = config(adapted.workdir, tiny_run.data)
    with pytest.raises(ValueError, match="no identity encoder.*start=mean"):
        newcomer.inherit(c, adapted)
    with pytest.raises(ValueError, match="no identity encoder"):
        newcomer.zero_shot(adapted, adapted.record(adapted.identities[0]).source)
    c.start = "mean"
    assert newcomer.inherit(c, adapted).model.code == adapted.config.model.code
    c.start = "median"
    with pytest.raises(ValueError, match="'median'.*encoder.*mean"):
        newcomer.inherit(c, adapted)


@pytest.mark.parametrize(("common", "share"), [("slow", 0.1), ("frozen", 0.0)])
def test_common_parts_learn_at_their_share_of_the_rates(common, share):
    params = {"shared": {"w": np.ones(3)}, "identity": {"w": np.ones(3)}}
    rates = optimizer.LearningRates(1.0, 1.0, 1.0, 1.0)

    def updates(kind):
        rule = optimizer.make(rates, 10, 1, 0.1, kind)
        state = rule.init(params)
        for _ in range(2):
            found, state = rule.update(params, state, params)
        return found

    free, changed = updates("free"), updates(common)
    assert np.abs(free["shared"]["w"]).min() > 0
    np.testing.assert_allclose(changed["shared"]["w"], share * free["shared"]["w"])
    np.testing.assert_array_equal(changed["identity"]["w"], free["identity"]["w"])
    with pytest.raises(ValueError, match="'quick'.*free, slow, frozen"):
        updates("quick")
