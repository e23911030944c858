import jax
import numpy as np
import pytest
import tiny_model

import lokitalk_jax as lokitalk
from lokitalk_jax.avatar import prior_export, zero_shot
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.training.session import build_session


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def prior(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "prior"
    return lokitalk.Run(tiny_run.workdir).export_prior(out).opened


def test_new_identities_start_as_from_the_run(tiny_run, prior):
    run = OpenRun(tiny_run.workdir)
    assert (prior.step, prior.model) == (run.step, run.model)
    equal(prior.shared, run.shared)
    np.testing.assert_array_equal(prior.lip_basis, run.lip_basis)
    name = tiny_run.names[0]
    data = Dataset.open(IdentityFolder(tiny_run.data / name), run.config.data.size)
    seen = zero_shot.reference_batch(run, data, run.record(name))
    for start in zero_shot.STARTS:
        equal(
            zero_shot.initial_residual(prior, start, seen),
            zero_shot.initial_residual(run, start, seen),
        )


def test_an_adaptation_begins_as_from_the_run(tiny_run, prior, strangers):
    states = []
    for workdir in (tiny_run.workdir, prior.workdir):
        c = tiny_model.config(encoder=True)
        c.data.root, c.prior = str(strangers), str(workdir)
        session = build_session(c)
        states.append(jax.device_get(session.state._replace(moments=None)))
    equal(*states)


def test_it_holds_no_identity(tiny_run, prior):
    assert prior.identities == ["mean"]
    text = b"".join(
        path.read_bytes() for path in prior.workdir.rglob("*") if path.is_file()
    )
    for name in (*tiny_run.names, str(tiny_run.data), str(prior.workdir)):
        assert name.encode() not in text
    assert not (prior.workdir / "identities").exists()
    with pytest.raises(ValueError, match="identity=mean is not in .* holds none"):
        prior.avatar("mean")


def test_refusals(tiny_run, prior, tmp_path):
    run = OpenRun(tiny_run.workdir)
    with pytest.raises(ValueError, match="holds files"):
        prior_export.export(run, prior.workdir)
    with pytest.raises(ValueError, match="so its prior would show that person"):
        prior_export.export(prior, tmp_path / "again")
