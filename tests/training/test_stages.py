"""Stages of training: what the shares of a config come to, and what a stage reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax import config
from lokitalk_jax.model import hashgrid, nerf
from lokitalk_jax.training import losses, stages


def of(preset: str, **train):
    c = config.load(f"single_id:{preset}")
    c.train.update(train)
    return stages.from_config(c)


def test_stages_follow_one_another_from_the_first_step_to_the_last():
    coarse, fine, perceptual = of("full_cpu", steps=100, coarse=0.3, perceptual=0.4)
    assert (coarse.first, coarse.end) == (0, 30)
    assert (fine.first, fine.end) == (30, 60)
    assert (perceptual.first, perceptual.end) == (60, 100)
    assert (coarse.size, fine.size, perceptual.size) == (128, 512, 512)
    assert coarse.levels < fine.levels and coarse.rays < fine.rays
    assert perceptual.patch and perceptual.rays == perceptual.patch**2


def test_a_run_without_shares_has_one_stage():
    (only,) = of("draft_cpu")
    assert only.name == "fine" and (only.first, only.end) == (0, 1_500)


@pytest.mark.parametrize(
    ("step", "name"),
    [(0, "coarse"), (29, "coarse"), (30, "fine"), (60, "perceptual")]
    + [(99, "perceptual"), (100, "perceptual")],
)
def test_the_step_alone_says_which_stage_runs(step, name):
    in_order = of("full_cpu", steps=100, coarse=0.3, perceptual=0.4)
    assert stages.at(in_order, step).name == name


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"coarse": 0.7, "perceptual": 0.4}, "train.coarse=0.7"),
        ({"coarse": -0.1}, "not negative"),
        ({"coarse_size": 600}, "train.coarse_size=600 is above data.size=512"),
    ],
)
def test_shares_and_sizes_that_do_not_fit_are_refused(train, words):
    with pytest.raises(ValueError, match=words):
        of("full_cpu", **train)


def test_active_levels_are_the_leading_ones_of_the_same_table():
    whole = hashgrid.GridSpec(4, 2, 4, 32, 8)
    table = hashgrid.init_table(jax.random.key(0), whole, 1.0)
    points = jax.random.uniform(jax.random.key(1), (3, 50))
    leading = hashgrid.encode(table, points, whole._replace(active=2))
    np.testing.assert_array_equal(leading, hashgrid.encode(table, points, whole)[:2])
    slope = jax.grad(
        lambda t: jnp.sum(hashgrid.encode(t, points, whole._replace(active=2)))
    )(table)
    first_unread = sum(min((n + 1) ** 3, 2**8) for n in hashgrid.level_cells(whole)[:2])
    assert np.abs(slope[:first_unread]).max() > 0
    assert np.abs(slope[first_unread:]).max() == 0


def test_distortion_is_the_mean_distance_of_two_places_of_a_ray():
    rng = np.random.default_rng(0)
    weights = rng.uniform(size=(1, 3, 5)) / 5
    widths = rng.uniform(0.1, 0.3, weights.shape)
    distances = np.cumsum(widths, axis=-1) - widths / 2
    samples = nerf.Samples(weights, distances, widths, None)
    apart = np.abs(distances[..., :, None] - distances[..., None, :])
    pairs = np.einsum("bri,brj,brij->br", weights, weights, apart)
    wanted = np.mean(pairs + np.sum(weights**2 * widths, -1) / 3)
    assert float(losses.distortion(samples)) == pytest.approx(wanted, rel=1e-5)
