"""Guided samples and the density grid that guides them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax.model import sampling
from lokitalk_jax.structs import Rays

SPEC = sampling.SamplingSpec(
    low=(-1.0, -1.0, -1.0),
    high=(1.0, 1.0, 2.0),
    cells=(4, 6, 30),
    bins=48,
    samples=12,
    uniform=0.1,
    decay=0.9,
)

guided_samples = jax.jit(sampling.guided_samples, static_argnums=4)
composite_weights = jax.jit(sampling.composite_weights)
read_density = jax.jit(sampling.read_density, static_argnums=2)


def straight_rays(count: int) -> tuple[Rays, np.ndarray, np.ndarray]:
    """Rays along z from z = -2 through the box, with near and far."""
    rng = np.random.default_rng(0)
    origins = np.full((count, 3), -2.0, np.float32)
    origins[:, :2] = rng.uniform(-0.9, 0.9, (count, 2))
    directions = np.tile(np.float32([0, 0, 1]), (count, 1))
    return Rays(origins, directions), np.full(count, 1.0), np.full(count, 4.0)


@pytest.mark.parametrize("key", [None, 0])
@pytest.mark.parametrize("grid", ["empty", "random", "wall"])
def test_samples_cut_the_interval_in_order(grid, key):
    density = {
        "empty": np.zeros(SPEC.cells),
        "random": 50 * np.random.default_rng(1).uniform(size=SPEC.cells) ** 8,
        "wall": np.where(np.arange(30) == 12, 1e4, 0) * np.ones(SPEC.cells),
    }[grid].astype(np.float32)
    cast, near, far = straight_rays(20)
    key = None if key is None else jax.random.key(key)
    distances, widths = guided_samples(density, cast, near, far, SPEC, key)
    assert distances.shape == widths.shape == (20, SPEC.samples)
    assert (np.diff(distances, axis=-1) > 0).all()
    assert (distances >= near[:, None]).all() and (distances <= far[:, None]).all()
    np.testing.assert_allclose(np.sum(widths, axis=-1), far - near, rtol=1e-5)
    # Each sample lies in the interval that it stands for.
    ends = near[:, None] + np.cumsum(widths, axis=-1)
    assert (distances <= ends + 1e-5).all() and (
        distances >= ends - widths - 1e-5
    ).all()


def test_samples_gather_at_the_first_wall():
    density = np.zeros(SPEC.cells, np.float32)
    density[..., 10] = density[..., 22] = 1e4  # walls at z in [0, 0.1] and [1.2, 1.3]
    cast, near, far = straight_rays(10)
    distances, _ = guided_samples(density, cast, near, far, SPEC, jax.random.key(0))
    z = np.array(distances) - 2
    margin = 2 * 3 / SPEC.bins  # a bin's neighbours may hold the true surface
    at_wall = ((z > -margin) & (z < 0.1 + margin)).mean()
    behind = ((z > 1.2 - margin) & (z < 1.3 + margin)).mean()
    assert at_wall > 0.85
    assert behind < 0.1


def test_empty_space_is_sampled_evenly():
    cast, near, far = straight_rays(1)
    _, widths = guided_samples(jnp.zeros(SPEC.cells), cast, near, far, SPEC, None)
    np.testing.assert_allclose(widths, 3 / SPEC.samples, rtol=1e-4)


def test_without_key_samples_repeat_and_a_missed_box_has_no_width():
    cast, near, _ = straight_rays(3)
    distances, widths = guided_samples(
        jnp.ones(SPEC.cells), cast, near, near, SPEC, None
    )
    np.testing.assert_array_equal(widths, 0)
    np.testing.assert_allclose(distances, 1.0)


def test_weights_and_transmittance_sum_to_one():
    rng = np.random.default_rng(2)
    density, widths = rng.exponential(3, (2, 30, 9)), rng.uniform(0, 0.3, (1, 30, 9))
    weights = composite_weights(density, widths)
    through = np.exp(-np.sum(density * widths, axis=-1))
    np.testing.assert_allclose(np.sum(weights, -1) + through, 1, atol=1e-6)
    assert (np.array(weights) >= 0).all()


def test_an_opaque_slab_hides_all_behind_it_and_empty_space_nothing():
    density = np.array([0.0, 0.0, 1e6, 5.0, 1e6])
    weights = composite_weights(density, np.full(5, 0.1))
    np.testing.assert_allclose(weights, [0, 0, 1, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(composite_weights(np.zeros(5), np.ones(5)), 0)


def test_cells_are_read_where_they_were_drawn():
    cells, points = jax.jit(sampling.random_cells, static_argnums=(1, 2))(
        jax.random.key(1), (200,), SPEC
    )
    numbers = jnp.arange(np.prod(SPEC.cells), dtype=jnp.float32).reshape(SPEC.cells)
    np.testing.assert_array_equal(read_density(numbers, points, SPEC), cells)
    assert len(np.unique(cells)) > 150
    # Outside the box, the nearest cell.
    corner = read_density(numbers, jnp.array([9.0, 9.0, 9.0]), SPEC)
    assert corner == numbers.max()


def test_visited_cells_fade_and_keep_their_maximum():
    old = jnp.arange(np.prod(SPEC.cells), dtype=jnp.float32).reshape(SPEC.cells)
    visited = jnp.array([5, 5, 40, 7])
    found = jnp.array([1.0, 100.0, 0.0, 6.99])
    new = np.array(
        jax.jit(sampling.update_density, static_argnums=3)(old, visited, found, SPEC)
    ).reshape(-1)
    expected = np.arange(np.prod(SPEC.cells), dtype=np.float32)
    expected[[5, 40, 7]] = [100.0, 40 * SPEC.decay, 6.99]
    np.testing.assert_allclose(new, expected)


def test_refined_samples_gather_where_the_weights_are():
    """Twelve intervals of one ray from 1 to 3, with all that is seen in the eighth."""
    widths = jnp.full((1, 12), 2 / 12)
    distances = 1 + jnp.cumsum(widths, axis=-1) - widths / 2
    weights = jnp.zeros((1, 12)).at[0, 7].set(0.9)
    places, lengths = sampling.refined_samples(distances, widths, weights, 8)
    edges = np.append(places - lengths / 2, places[:, -1:] + lengths[:, -1:] / 2)
    np.testing.assert_allclose(edges[[0, -1]], [1, 3], atol=1e-5)
    np.testing.assert_allclose(np.sum(lengths), 2, atol=1e-5)
    assert (np.diff(places) > 0).all() and (np.asarray(lengths) > 0).all()
    # Within one interval of the eighth, whose neighbours may hold the surface too.
    near = np.abs(np.asarray(places) - float(distances[0, 7])) < 1.5 * 2 / 12
    assert 4 <= near.sum() < 8


def test_refined_samples_of_an_empty_ray_follow_the_intervals():
    widths = jnp.array([[1.0, 0.5, 0.25, 0.25]])
    distances = 2 + jnp.cumsum(widths, axis=-1) - widths / 2
    found = sampling.refined_samples(distances, widths, jnp.zeros((1, 4)), 4)
    np.testing.assert_allclose(found[0], distances, atol=1e-5)
    np.testing.assert_allclose(found[1], widths, atol=1e-5)
