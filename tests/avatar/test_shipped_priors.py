import pytest

import lokitalk_jax as lokitalk
from lokitalk_jax.avatar import shipped_priors
from lokitalk_jax.avatar.run import OpenRun


@pytest.fixture
def package(tiny_run, tmp_path, monkeypatch):
    """A package whose only prior is called small."""
    monkeypatch.setattr(shipped_priors, "_SHIPPED", tmp_path)
    return lokitalk.Run(tiny_run.workdir).export_prior(tmp_path / "small").opened


def test_names_are_of_the_package_and_paths_are_runs(tiny_run, package):
    assert shipped_priors.is_shipped("small")
    opened = shipped_priors.open_prior("small")
    assert (opened.workdir, opened.digest) == (package.workdir, package.digest)
    for path in ("", "other", "./small", "runs/small", package.workdir):
        assert not shipped_priors.is_shipped(path)
    run = shipped_priors.open_prior(str(tiny_run.workdir))
    assert run.identities == tiny_run.names
    for path in ("other", "runs/other"):
        with pytest.raises(ValueError, match=rf"no prior={path}: .*package \(small\)"):
            shipped_priors.open_prior(path)


def test_a_prior_of_another_model_is_refused_by_name(package, monkeypatch):
    def wider(run):
        raise ValueError("kernel is (3, 8), the config's (2, 8)")

    monkeypatch.setattr(OpenRun, "shared", property(wider))
    with pytest.raises(
        ValueError, match=r"prior small is of another version.*\(3, 8\)"
    ):
        shipped_priors.open_prior("small")
