"""Adapting a prior to identities that it was not trained on."""

import hashlib
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.avatar import drivers, zero_shot
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.training import adapting, optimizer, trainer


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
    return OpenRun(workdir)


def test_frozen_shared_parameters_stay_the_priors_and_residuals_learn(
    tiny_run, adapted
):
    prior = OpenRun(tiny_run.workdir)
    jax.tree.map(
        np.testing.assert_array_equal,
        adapted.shared,
        adapting.shared_parameters(prior, frozen=True),
    )
    own = adapted.residuals
    seen = [None, None]
    for row, name in enumerate(adapted.identities):
        avatar, data = zero_shot.build_avatar(prior, adapted.record(name).source)
        seen[row] = zero_shot.reference_batch(prior, data, avatar.record)
        first = zero_shot.initial_residual(prior, "encoder", seen[row])
        change = jax.tree.map(lambda a, b, i=row: np.abs(a[i] - b).max(), own, first)
        # A tracked torso moves as its track.
        assert change.pop("gains") == change.pop("pivot") == 0
        assert all(0 < leaf < 1 for leaf in jax.tree.leaves(change)), change


def test_density_starts_lower_where_shared_parameters_keep_learning(
    tiny_run, strangers
):
    prior = OpenRun(tiny_run.workdir)
    record = drivers.load_speaker(prior, str(strangers / "demo_00")).record
    residual = zero_shot.initial_residual(prior, "mean", None)
    firm, thin = (
        zero_shot.with_density_grid(
            prior, adapting.shared_parameters(prior, frozen), residual, record
        ).density_grid
        for frozen in (True, False)
    )
    np.testing.assert_allclose(thin, firm / np.e, rtol=1e-3)


def test_adapted_runs_have_the_sizes_and_the_lip_basis_of_the_prior(tiny_run, adapted):
    prior = OpenRun(tiny_run.workdir)
    assert adapted.model.identity == prior.model.identity
    assert adapted.model.encoder is None and prior.model.encoder is not None
    np.testing.assert_array_equal(adapted.lip_basis, prior.lip_basis)


def test_fields_that_the_prior_sets_are_refused_on_the_command_line(tmp_path):
    command = [sys.executable, "train.py", "--config=configs/adapt.py:draft_cpu"]
    command += [f"--workdir={tmp_path / 'run'}", f"--config.prior={tmp_path}"]
    ended = subprocess.run(
        [*command, "--config.model.code=9"], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "model.code has no effect where a prior is adapted" in ended.stderr
    assert not (tmp_path / "run").exists()
    # A new identity may go without an offset.
    adapting.refuse_inherited(["model.identity_offset", "train.steps"])


def test_adapting_without_a_prior_is_refused(tmp_path, strangers):
    command = [sys.executable, "train.py", "--config=configs/adapt.py:draft_cpu"]
    command += [f"--workdir={tmp_path / 'run'}", f"--config.data.root={strangers}"]
    command += ["--config.prior="]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "give --config.prior=RUN or --config.prior=base" in ended.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_names_that_the_prior_has_too_are_warned_of(tiny_run, caplog):
    prior = OpenRun(tiny_run.workdir)
    caplog.clear()
    adapting.warn_of_known(prior, ["nobody", prior.identities[0]])
    (warning,) = caplog.messages
    assert f"was trained on an identity {prior.identities[0]}" in warning


def test_without_encoder_residuals_can_only_start_at_the_mean(tiny_run, adapted):
    c = config(adapted.workdir, tiny_run.data)
    with pytest.raises(ValueError, match="no identity encoder.*start=mean"):
        adapting.inherit(c, adapted)
    with pytest.raises(ValueError, match="no identity encoder"):
        zero_shot.build_avatar(adapted, adapted.record(adapted.identities[0]).source)
    c.start = "mean"
    assert adapting.inherit(c, adapted).model.code == adapted.config.model.code
    c.start = "median"
    with pytest.raises(ValueError, match="start=median is none of encoder, mean"):
        adapting.inherit(c, adapted)


@pytest.mark.parametrize(("kind", "share"), [("slow", 0.1), ("frozen", 0.0)])
def test_shared_parameters_learn_at_their_share_of_the_rates(kind, share):
    params = {"shared": {"w": np.ones(3)}, "identity": {"w": np.ones(3)}}
    rates = optimizer.LearningRates(1.0, 1.0, 1.0, 1.0)

    def updates(kind):
        rule = optimizer.make(rates, 10, 1, 0.1, kind)
        state = rule.init(params)
        for _ in range(2):
            found, state = rule.update(params, state, params)
        return found

    free, changed = updates("free"), updates(kind)
    assert np.abs(free["shared"]["w"]).min() > 0
    np.testing.assert_allclose(changed["shared"]["w"], share * free["shared"]["w"])
    np.testing.assert_array_equal(changed["identity"]["w"], free["identity"]["w"])
    with pytest.raises(ValueError, match="shared=quick is none of free, slow, frozen"):
        updates("quick")
