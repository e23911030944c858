"""What is common and what is a person's own."""

import jax
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import hashgrid, identity, nerf

SPEC = nerf.from_config(tiny_model.config()).identity


@pytest.fixture(scope="module")
def common():
    return identity.init_base(jax.random.key(0), SPEC)


def test_an_unseen_identity_is_the_common_face(common):
    own = identity.init_own(common, 3, SPEC)
    for leaf in jax.tree.leaves(own):
        assert leaf.shape[0] == 3
    person = identity.combine(common, jax.tree.map(lambda x: x[1], own))
    jax.tree.map(np.testing.assert_array_equal, person, common)


def test_combine_adds_leaf_by_leaf(common):
    own = jax.tree.map(lambda x: np.full(x.shape, 0.5), common)
    person = identity.combine(common, own)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b + 0.5, rtol=1e-6), person, common
    )


def test_a_person_without_offset_shares_the_grid(common):
    spec = SPEC._replace(offset=False)
    own = identity.init_own(common, 2, spec)
    assert own.keys() == common.keys() - {"grid"}
    person = identity.combine(common, jax.tree.map(lambda x: x[0], own))
    assert person["grid"] is common["grid"]
    assert person.keys() == common.keys()


def test_the_common_face_starts_where_the_config_says(common):
    assert common["grid"].shape == hashgrid.table_shape(SPEC.grid)
    scale = tiny_model.config().model.grid_scale
    assert 0.9 * scale < np.abs(common["grid"]).max() <= scale
    assert set(common["last_layers"]) == {"lip", "eye", "head"}
    for layer in common["last_layers"].values():
        # Small, not zero: a field at exactly zero has no gradient to its trunk.
        assert 0 < np.abs(layer).max() < 0.2
