"""Encodings against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax.model import encodings


def test_positional_encoding_is_sines_of_doubled_angles():
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 3)).astype(np.float32)
    octaves = 6
    got = jax.jit(encodings.positional, static_argnums=1)(points, octaves)
    parts = [points.astype(float)]
    for k in range(octaves):
        angle = 2**k * np.pi * points.astype(float)
        parts += [np.sin(angle), np.cos(angle)]
    assert got.shape == (50, 3 + 6 * octaves)
    # Each doubling doubles the rounding error too.
    np.testing.assert_allclose(got, np.concatenate(parts, -1), atol=2e-4)


def test_spherical_harmonics_are_orthonormal():
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    angles = np.arange(8) * 2 * np.pi / 8
    z, angle = np.meshgrid(nodes, angles, indexing="ij")
    ring = np.sqrt(1 - z**2)
    directions = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=-1)
    values = np.array(jax.jit(encodings.spherical_harmonics)(directions)).reshape(-1, 9)
    weights = np.repeat(node_weights, 8) / (2 * 8)  # sum to 1: a mean over the sphere
    inner = np.einsum("p,pi,pj->ij", weights, values, values)
    np.testing.assert_allclose(inner, np.eye(9), atol=1e-5)


def test_rotation_matrix_equals_scipy_at_all_angles():
    rng = np.random.default_rng(1)
    axes = rng.normal(size=(60, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = np.concatenate([np.logspace(-8, 0.49, 58), [0, 0.01]])
    vectors = axes * angles[:, None]
    got = jax.jit(encodings.rotation_matrix)(vectors.astype(np.float32))
    expected = Rotation.from_rotvec(vectors).as_matrix()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_rotation_matrix_has_the_right_slope_at_rest():
    def turned(vector):
        return encodings.rotation_matrix(vector) @ jnp.array([1.0, 2.0, 3.0])

    slope = jax.jit(jax.jacobian(turned))(jnp.zeros(3))
    # d(v x p)/dv = -[p]_x
    expected = -np.array([[0, -3, 2], [3, 0, -1], [-2, 1, 0]])
    np.testing.assert_allclose(slope, expected, atol=1e-6)
