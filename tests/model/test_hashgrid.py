"""The hash grid against a slow reference, its gradients, and its two formulations."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax.model import hashgrid

# Levels of 4 and 16 cells: the first is dense, the other is hashed.
SPEC = hashgrid.GridSpec(levels=2, features=2, coarsest=4, finest=16, log2_entries=8)

encode = jax.jit(hashgrid.encode, static_argnums=2)


def reference(table: np.ndarray, points: np.ndarray, spec) -> np.ndarray:
    """`encode`, one point and one corner at a time, in double precision."""
    entries = 2**spec.log2_entries
    growth = (spec.finest / spec.coarsest) ** (1 / max(spec.levels - 1, 1))
    out = np.zeros((spec.levels, points.shape[1], spec.features))
    first = 0
    for level in range(spec.levels):
        n = round(spec.coarsest * growth**level)
        dense = (n + 1) ** 3 <= entries
        for p, point in enumerate(np.clip(points.T.astype(float), 0, 1)):
            cell = np.minimum((point * n).astype(int), n - 1)
            fraction = point * n - cell
            for corner in itertools.product((0, 1), repeat=3):
                x, y, z = (int(c) for c in cell + corner)
                if dense:
                    row = x + (n + 1) * (y + (n + 1) * z)
                else:
                    row = (x ^ (y * 2654435761) ^ (z * 805459861)) % 2**32 % entries
                weight = np.prod(np.where(corner, fraction, 1 - fraction))
                out[level, p] += weight * table[first + row]
        first += (n + 1) ** 3 if dense else entries
    assert first == len(table)
    return out


@pytest.fixture(scope="module")
def table():
    return jax.random.normal(jax.random.key(0), hashgrid.table_shape(SPEC))


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    inside = rng.uniform(size=(3, 40))
    faces = np.array([[0, 1, 0.5, 1], [0, 1, 0.25, 0.3], [0, 1, 1, 0]])
    outside = rng.uniform(-1, 2, size=(3, 10))
    return np.concatenate([inside, faces, outside], axis=1).astype(np.float32)


def test_equals_the_slow_reference(table, points):
    got = encode(table, points, SPEC)
    np.testing.assert_allclose(got, reference(np.array(table), points, SPEC), atol=2e-6)


def test_levels_that_fit_are_dense():
    assert hashgrid.dense_cells(SPEC) == [4]
    everything = SPEC._replace(log2_entries=14)
    assert hashgrid.dense_cells(everything) == [4, 16]
    assert hashgrid.table_shape(everything) == (5**3 + 17**3, 2)


BY_AXIS = [
    functools.partial(hashgrid._forward_by_axis, cells_of=cells_of)
    for cells_of in (hashgrid._cells_by_axis, hashgrid._cells_at_once)
]


@pytest.mark.parametrize("forward", [hashgrid._forward_scan, *BY_AXIS])
def test_formulations_agree(table, points, forward):
    """Either forward, differentiated by JAX, checks either backward."""
    points = np.clip(points, 0.01, 0.99)
    features = encode(table, points, SPEC)
    rng = np.random.default_rng(1)
    cotangent = rng.normal(size=features.shape).astype(np.float32)

    @jax.jit
    def differentiated(table, points):
        value, pull = jax.vjp(lambda t, x: forward(t, x, SPEC), table, points)
        return value, pull(cotangent)

    value, wanted = differentiated(table, points)
    np.testing.assert_allclose(value, features, atol=1e-6)
    for backward in (hashgrid._backward_scan, hashgrid._backward_by_axis):
        got = jax.jit(backward, static_argnums=3)(table, points, cotangent, SPEC)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=3e-5)


def test_every_formulation_moves_points_to_the_cube(table):
    outside = np.float32([[-0.2, 0.5, 1.3], [0.4, 1.1, -3.0], [0.7, 0.2, 2.0]])
    inside = np.clip(outside, 0, 1)
    wanted = hashgrid._forward_scan(table, inside, SPEC)
    for forward in hashgrid._forward_scan, BY_AXIS[1]:
        np.testing.assert_allclose(forward(table, outside, SPEC), wanted, atol=1e-6)


def test_gradients_are_finite_differences(table, points):
    points = np.clip(points[:, :40], 0.02, 0.98)
    pick = np.random.default_rng(2).normal(size=(SPEC.levels, 40, SPEC.features))

    def loss(table, points):
        return jnp.sum(encode(table, points, SPEC) * pick)

    d_table, d_points = jax.jit(jax.grad(loss, argnums=(0, 1)))(table, points)
    step = 1e-5  # of a cell's kinks, few are nearer

    def exact(table, points):
        return np.sum(reference(table, points, SPEC) * pick)

    values = np.array(table, float)
    for row in (0, 17, 124, 130, 300):
        shifted = values.copy()
        shifted[row, 1] += 1
        slope = exact(shifted, points) - exact(values, points)
        np.testing.assert_allclose(d_table[row, 1], slope, atol=1e-4)
    for axis, p in itertools.product(range(3), range(0, 40, 7)):
        up, down = points.astype(float), points.astype(float)
        up[axis, p] += step
        down[axis, p] -= step
        slope = (exact(values, up) - exact(values, down)) / (2 * step)
        np.testing.assert_allclose(d_points[axis, p], slope, rtol=1e-3, atol=1e-2)


def test_a_dense_level_reproduces_linear_fields():
    spec = hashgrid.GridSpec(1, coarsest=4, finest=4, log2_entries=8, features=1)
    slope, offset = np.array([0.3, -1.2, 0.7]), 0.1
    corners = np.stack(np.unravel_index(np.arange(125), (5, 5, 5))[::-1], axis=-1) / 4
    table = jnp.array((corners @ slope + offset)[:, None], jnp.float32)
    points = np.random.default_rng(3).uniform(size=(3, 50)).astype(np.float32)
    features = encode(table, points, spec)
    np.testing.assert_allclose(features[0, :, 0], slope @ points + offset, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(encode(table, x, spec))))(points)
    np.testing.assert_allclose(gradient, np.tile(slope[:, None], 50), atol=1e-5)


def test_points_outside_are_moved_to_the_faces_without_gradient_across_them(table):
    point = np.array([[1.5], [0.4], [-0.2]], np.float32)
    face = np.array([[1.0], [0.4], [0.0]], np.float32)
    np.testing.assert_array_equal(encode(table, point, SPEC), encode(table, face, SPEC))

    slope = jax.jit(jax.grad(lambda x: jnp.sum(encode(table, x, SPEC))))
    across = slope(point)[:, 0]
    assert across[0] == 0 and across[2] == 0 and across[1] != 0
    np.testing.assert_allclose(across[1], slope(face)[1, 0], rtol=1e-6)
