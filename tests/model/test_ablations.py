"""Every ablation is the model without one part, by a few fields of its config."""

import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from configs import multi_id
from lokitalk_jax.model import architecture
from lokitalk_jax.structs import Signals
from lokitalk_jax.training import losses

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "configs" / "ablations").glob("[a-z]*.py"))


def flat(config) -> dict:
    return {
        f"{group}.{field}" if hasattr(values, "items") else group: value
        for group, values in config.items()
        for field, value in (
            values.items() if hasattr(values, "items") else [("", values)]
        )
    }


def ablation(name):
    return importlib.import_module(f"configs.ablations.{name}").get_config("draft_cpu")


@pytest.mark.parametrize("name", [n for n in NAMES if n != "no_prior"])
def test_an_ablation_changes_a_few_fields_of_the_prior(name):
    whole, less = flat(multi_id.get_config("draft_cpu")), flat(ablation(name))
    assert whole.keys() == less.keys()
    changed = {key for key in whole if whole[key] != less[key]}
    assert 1 <= len(changed) <= 2
    assert all(key.startswith(("model.", "loss.")) for key in changed)


def tiny(name):
    """The tiny config with the fields that an ablation changes."""
    c = tiny_model.config(encoder=True)
    whole, less = flat(multi_id.get_config("draft_cpu")), flat(ablation(name))
    changes = {key: less[key] for key in whole if whole[key] != less[key]}
    c.update_from_flattened_dict(changes)
    return c


@pytest.mark.parametrize(
    "name", ["holistic", "no_cascade", "no_hypernetwork", "no_offset", "no_encoder"]
)
def test_an_ablation_has_the_parameters_of_its_parts(name):
    c = tiny(name)
    init = jax.eval_shape(
        lambda key: architecture.init(architecture.from_config(c), key, 2), KEY
    )
    residual, shared = init["identity"], init["shared"]
    assert ("grid" in residual) == (name != "no_offset")
    assert ("last_layers" in residual) == (name != "no_hypernetwork")
    assert ("encoder" in shared) == (name != "no_encoder")
    if name == "holistic":
        assert list(residual["last_layers"]) == ["all"]
    one = jax.tree.map(lambda x: x[0], tiny_model.batch(c, 1))
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), residual)

    def loss(shared, residual, batch):
        model, grid = architecture.from_config(c), jnp.ones(c.sampling.cells)
        weights = tiny_model.weights(c)
        return losses.identity_loss(model, weights, shared, residual, grid, batch, KEY)[
            0
        ]

    assert jax.eval_shape(loss, shared, first, one).shape == ()


KEY = jax.random.key(0)


def deform(name, signals_of, points):
    c = tiny(name)
    model = architecture.from_config(c)
    params = jax.tree.map(
        lambda x: np.random.default_rng(0).normal(0, 0.3, x.shape).astype(np.float32),
        jax.eval_shape(lambda key: architecture.init(model, key, 1), KEY),
    )
    combined = params["shared"]["base"]
    return [
        jax.jit(model.deformation.apply)(
            params["shared"]["dynamic"], points, s, combined
        )
        for s in signals_of
    ]


def test_in_the_holistic_field_every_signal_moves_every_point():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.5, 0.5, (1, 7, 3)).astype(np.float32)
    one = jax.tree.map(
        lambda x: x[0, :1], tiny_model.batch(tiny("holistic"), 1).signals
    )
    changed = [
        one._replace(**{name: getattr(one, name) + 1}) for name in Signals._fields
    ]
    first, *others = deform("holistic", [one, *changed], points)
    for other in others:
        assert np.abs(other.points - first.points).min() > 0
    np.testing.assert_allclose(first.points, points + first.offsets.sum(-2), atol=1e-6)


def test_without_cascade_lip_offsets_do_not_depend_on_the_head():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.5, 0.5, (1, 7, 3)).astype(np.float32)
    c = tiny("no_cascade")
    one = jax.tree.map(lambda x: x[0, :1], tiny_model.batch(c, 1).signals)
    turned = one._replace(head=one.head + 1)
    for name, same in (("no_cascade", True), ("no_attention", False)):
        a, b = deform(name, [one, turned], points)
        assert np.abs(a.offsets[..., 2, :] - b.offsets[..., 2, :]).max() > 1e-4
        gap = np.abs(a.offsets[..., :2, :] - b.offsets[..., :2, :]).max()
        assert (gap < 1e-6) == same
