"""Compositing of samples along rays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax.model import rendering


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return {
        "colours": rng.uniform(size=(6, 5, 3)),
        "distances": np.sort(rng.uniform(1, 2, (6, 5)), axis=-1),
        "gates": rng.uniform(size=(6, 5, 4)),
        "offsets": rng.normal(size=(6, 5, 4, 3)),
        "plate": rng.uniform(size=(6, 3)),
        "far": np.full(6, 3.0),
    }


def test_empty_space_shows_the_plate_at_the_ray_end(samples):
    seen = rendering.composite(np.zeros((6, 5)), **samples)
    np.testing.assert_allclose(seen.rgb, samples["plate"], rtol=1e-6)
    np.testing.assert_allclose(seen.depth, 3.0)
    for nothing in (seen.alpha, seen.regions, seen.deformation):
        np.testing.assert_array_equal(nothing, 0)


def test_an_opaque_sample_hides_the_rest(samples):
    weights = np.zeros((6, 5))
    weights[:, 2] = 1
    seen = rendering.composite(weights, **samples)
    np.testing.assert_allclose(seen.rgb, samples["colours"][:, 2], rtol=1e-6)
    np.testing.assert_allclose(seen.depth, samples["distances"][:, 2], rtol=1e-6)
    np.testing.assert_allclose(seen.alpha, 1)
    np.testing.assert_allclose(seen.regions, samples["gates"][:, 2], rtol=1e-6)
    lengths = np.linalg.norm(samples["offsets"][:, 2], axis=-1)
    np.testing.assert_allclose(seen.deformation, lengths, rtol=1e-5)


def test_half_transparent_samples_mix(samples):
    weights = np.tile([0.5, 0.25, 0, 0, 0], (6, 1))
    seen = rendering.composite(weights, **samples)
    c = samples["colours"]
    mixed = 0.5 * c[:, 0] + 0.25 * c[:, 1] + 0.25 * samples["plate"]
    np.testing.assert_allclose(seen.rgb, mixed, rtol=1e-6)
    np.testing.assert_allclose(seen.alpha, 0.75)


def test_a_loss_on_regions_moves_gates_and_not_surfaces(samples):
    weights = np.tile(np.float32([0.5, 0.25, 0.1, 0, 0]), (6, 1))

    def loss(weights, gates):
        seen = rendering.composite(weights, **(samples | {"gates": gates}))
        return jnp.sum((seen.regions - 1) ** 2)

    surfaces, gates = jax.grad(loss, (0, 1))(weights, np.float32(samples["gates"]))
    np.testing.assert_array_equal(surfaces, 0)
    assert (gates[:, :3] < 0).all()
