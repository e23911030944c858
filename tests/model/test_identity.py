"""The shared base, and the residuals of identities on it."""

import jax
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import architecture, hashgrid, identity

SPEC = architecture.from_config(tiny_model.config()).identity


@pytest.fixture(scope="module")
def base():
    return identity.init_base(jax.random.key(0), SPEC)


def first(residuals):
    return jax.tree.map(lambda x: x[0], residuals)


def test_without_training_an_identity_is_the_base(base):
    residuals = identity.init_residuals(base, 3, SPEC)
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(residuals))
    combined = identity.combine(base, first(residuals))
    jax.tree.map(np.testing.assert_array_equal, combined, base)


@pytest.mark.parametrize(
    ("field", "part"), [("offset", "grid"), ("layers", "last_layers")]
)
def test_parts_without_a_residual_are_shared(base, field, part):
    residuals = identity.init_residuals(base, 2, SPEC._replace(**{field: False}))
    assert residuals.keys() == base.keys() - {part}
    combined = identity.combine(base, first(residuals))
    assert combined[part] is base[part]
    assert combined.keys() == base.keys()


def test_first_values_are_small_and_not_zero_where_gradients_need_them(base):
    assert base["grid"].shape == hashgrid.table_shape(SPEC.grid)
    assert 0.9 * SPEC.grid_scale < np.abs(base["grid"]).max() <= SPEC.grid_scale
    assert set(base["last_layers"]) == {"lip", "eye", "head", "torso"}
    for layer in base["last_layers"].values():
        # A field at exactly zero has no gradient to its trunk.
        assert 0 < np.abs(layer).max() < 0.2
