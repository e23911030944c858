"""The prior that comes with the package, the default of adapting."""

import json

import numpy as np
import pytest

import lokitalk_jax as lokitalk
from lokitalk_jax.avatar import shipped_priors
from lokitalk_jax.avatar.run import OpenRun

MOST_BYTES = 12_000_000


def test_there_is_one_and_it_is_small():
    assert shipped_priors.names() == ["base"]
    root = shipped_priors.find("base")
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_BYTES


def test_it_says_what_it_was_trained_on_and_holds_no_identity():
    root = shipped_priors.find("base")
    facts = json.loads((root / "trained_on.json").read_text("utf-8"))
    people = facts["people"]
    assert len(people) >= 10 and facts["animated"] == 0
    assert "CC BY 4.0" in facts["footage"]
    prior = shipped_priors.open_prior("base")
    assert prior.step == facts["steps"]
    assert prior.identities == ["mean"] and prior.config.data.root == ""
    assert not (root / "identities").exists()
    # Residuals are one mean, without the part that only an identity has.
    assert not np.any(prior.residuals["grid"])
    stored = [p for p in (root / "checkpoints").rglob("*") if p.is_file()]
    text = b"".join(path.read_bytes() for path in stored)
    for name in people:
        assert name.encode() not in text


@pytest.mark.heavy
@pytest.mark.parametrize("start", ["mean", "encoder"])
def test_a_new_identity_is_adapted_from_it(strangers, tmp_path, start):
    fields = {
        "start": start,
        "data.size": 48,
        "data.rays_per_frame": 16,
        "data.frames_per_step": 2,
        "train.steps": 2,
        "train.perceptual": 0.0,
        "voice.fit": False,
    }
    run = lokitalk.train(
        "adapt:draft_cpu",
        strangers / "demo_00",
        tmp_path,
        overrides=fields,
    )
    assert (run.step, run.identities) == (2, ["demo_00"])
    base = shipped_priors.open_prior("base")
    adapted = OpenRun(tmp_path)
    assert adapted.config.grid == base.config.grid
    np.testing.assert_array_equal(adapted.lip_basis, base.lip_basis)
