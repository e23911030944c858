"""Trilinear interpolation at the nodes of a lattice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax.model import lattice
from lokitalk_jax.model.lattice import Lattice

BOX = (-1.0, 0.0, 2.0), (1.0, 0.5, 3.0)
LATTICE = Lattice.spaced(*BOX, 0.3)


def trilinear(points):
    """A function that trilinear interpolation reproduces in each cell and overall."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.stack([1 + x - 2 * y + 3 * z, x + y], axis=-1)


def interpolate(values, points):
    axes = [jnp.asarray(points[..., axis]) for axis in range(3)]
    return lattice.interpolate(LATTICE, values, axes)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(*BOX, (2, 7, 3)).astype(np.float32)


def test_nodes_span_the_box_and_are_no_farther_apart_than_asked():
    nodes = lattice.positions(LATTICE)
    assert LATTICE.counts == (8, 3, 5) and len(nodes) == 8 * 3 * 5
    np.testing.assert_allclose(nodes.min(axis=0), BOX[0], atol=1e-6)
    np.testing.assert_allclose(nodes.max(axis=0), BOX[1], atol=1e-6)
    for axis in range(3):
        assert np.diff(np.unique(nodes[:, axis])).max() <= 0.3 + 1e-6


@pytest.mark.parametrize("spacing", [0.0, -1.0])
def test_a_spacing_that_is_not_positive_is_refused(spacing):
    with pytest.raises(ValueError, match="positive"):
        Lattice.spaced(*BOX, spacing)


def test_linear_functions_are_reproduced_between_nodes(points):
    values = jnp.asarray(trilinear(lattice.positions(LATTICE)))[None]
    found = interpolate(values, points)
    np.testing.assert_allclose(found, trilinear(points), atol=1e-5)


def test_each_frame_reads_its_own_values(points):
    values = trilinear(lattice.positions(LATTICE))
    found = interpolate(jnp.asarray(np.stack([values, 2 * values])), points)
    expected = trilinear(points) * np.array([1, 2])[:, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_point_outside_takes_the_value_of_the_nearest_face(points):
    values = jnp.asarray(trilinear(lattice.positions(LATTICE)))[None]
    outside = points + np.float32([5, 0, 0])
    on_face = np.concatenate([np.full_like(points[..., :1], 1.0), points[..., 1:]], -1)
    np.testing.assert_allclose(
        interpolate(values, outside), interpolate(values, on_face), atol=1e-6
    )


def test_gradients_reach_points_and_values(points):
    values = jnp.asarray(trilinear(lattice.positions(LATTICE)))[None]

    def first(values, points):
        return interpolate(values, points)[..., 0].sum()

    by_value, by_point = jax.grad(first, argnums=(0, 1))(values, jnp.asarray(points))
    np.testing.assert_allclose(by_value[..., 0].sum(), points[..., 0].size, rtol=1e-5)
    np.testing.assert_allclose(
        by_point, np.broadcast_to([1, -2, 3], points.shape), atol=1e-3
    )
