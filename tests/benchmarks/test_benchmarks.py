"""The arithmetic of benchmarks that do more than take times."""

import importlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import (
    ablation,
    ablation_report,
    cross_reenactment,
    learning_curve,
    loader_speed,
    mean_faces,
    mouth,
    preparation_speed,
    scaling_on_paper,
)
from benchmarks import hashgrid_speed as grids
from benchmarks.pose_outlines import distances, outlines
from lokitalk_jax import structs
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.model import hashgrid


def test_openings_that_agree_correlate_and_still_ones_do_not():
    opening = np.array([0.1, 0.3, np.nan, 0.2, 0.4])
    assert mouth.correlation(2 * opening + 1, opening) == pytest.approx(1)
    assert mouth.correlation(-opening, opening) == pytest.approx(-1)
    assert mouth.correlation(np.full(5, 0.2), opening) == 0
    assert mouth.correlation(np.full(5, np.nan), opening) == 0


def test_a_delay_of_the_mouth_is_found():
    truth = np.random.default_rng(0).normal(size=80)
    early = np.roll(truth, -3)
    lags = range(-5, 6)
    found = mouth.lagged_correlations(early, truth, lags)
    assert lags[int(np.argmax(found))] == 3 and max(found) == pytest.approx(1)


def test_a_face_is_nearest_to_its_own_colour_where_both_are_seen():
    def face(colour, left):
        picture = np.zeros((4, 4, 4))
        picture[:, left:] = (*colour, 1)
        return picture

    known = {"ann": face((0.8, 0.6, 0.5), 0), "bob": face((0.3, 0.2, 0.2), 0)}
    assert mean_faces.nearest(face((0.75, 0.6, 0.5), 2), known) == "ann"
    assert mean_faces.nearest(face((0.35, 0.2, 0.2), 1), known) == "bob"


def test_lips_are_compared_with_the_re_enactment_of_the_driver():
    pairs = {("a", "a"): 0.8, ("b", "a"): 0.6, ("a", "b"): 0.5, ("b", "b"): 1.0}
    rows = [
        {"identity": identity, "driver": driver, "lip_correlation": correlation}
        for (identity, driver), correlation in pairs.items()
    ]
    assert cross_reenactment.shares(rows) == pytest.approx([1, 0.75, 0.5, 1])


def test_ablations_are_compared_seed_by_seed():
    difference = ablation_report.difference
    assert difference([30.0, 31.0, 32.0], [29.0, 30.0, 31.0]) == (-1, 0)
    mean, reach = difference([30.0, 31.0], [29.0, 29.0])
    # Student's t for one degree of freedom is 12.7; the standard error is 0.5.
    assert mean == -1.5 and reach == pytest.approx(6.353, abs=1e-3)
    assert difference([30.0], [29.5]) == (-0.5, float("inf"))


def test_costs_to_a_level_lie_between_the_points():
    curve = [
        {"step": 100 * i, "cpu_seconds": 10.0 * i, "head": head}
        for i, head in enumerate((20, 24, 23, 30))
    ]
    assert learning_curve.cost_to(curve, 22) == pytest.approx(5)
    assert learning_curve.cost_to(curve, 20) == 0
    assert learning_curve.cost_to(curve, 26.5, cost="step") == pytest.approx(250)
    assert learning_curve.cost_to(curve, 31) is None


def test_ablation_tables_have_the_parts_that_were_run():
    def cell(part, seed, head):
        points = ((100, 4.0), (200, 2.0), (300, 0.0))
        curve = [{"step": n, "seconds": n / 10, "head": head - d} for n, d in points]
        return {"part": part, "seed": seed, "group": "trained", "curve": curve}

    cells = [cell("full", 0, 30.0), cell("full", 1, 31.0), cell("holistic", 1, 28.0)]
    for make in (ablation_report.table, ablation_report.times):
        rows = [line.split(" | ") for line in make(cells, "trained").splitlines()[2:]]
        assert [row[0] for row in rows] == ["| full", "| holistic"]


def test_the_head_of_a_curve_is_that_of_the_scores(tiny_run, in_process):
    run = OpenRun(tiny_run.workdir)
    whole = ablation.measure(run)["head"]
    assert ablation.head_psnr(run) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("part", [*ablation_report.PARTS, *ablation_report.ADAPTED])
def test_every_row_of_the_ablation_has_a_config(part, tmp_path):
    assert importlib.import_module(f"configs.ablations.{part}")
    adapted = ablation.configure_adapting(part, tmp_path / "prior", tmp_path, 5.0, 3)
    assert (adapted.seed, adapted.data.max_seconds) == (3, 5.0)
    assert bool(adapted.prior) == (part != "no_prior")
    if adapted.prior:
        assert adapted.model.identity_offset == (part != "no_offset")


def test_outlines_are_as_far_apart_as_the_camera_sees_them():
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 2, 3] = 0.6
    poses[1, 0, 3] = 0.01  # a centimetre to the right
    poses[2, 2, 3] = 1.2
    data = types.SimpleNamespace(
        tracks=types.SimpleNamespace(head_to_camera=poses),
        camera=structs.Camera(64, 64, np.array([100.0, 32, 32])),
    )
    seen = outlines(data, np.arange(3))
    far = distances(seen[0], seen)
    assert far[0] == 0
    # 0.01 m at about 0.6 m with 100 px of focal length, in heights of 64 px; a box has
    # depth, so its corners move by more and by less.
    assert far[1] == pytest.approx(0.01 / 0.6 * 100 / 64, rel=0.1)
    assert far[2] > far[1]


def test_a_ring_costs_nothing_alone_and_twice_as_much_for_twice_the_bytes():
    assert scaling_on_paper.ring_seconds(1, 8e6, 1e9, hop=1e-6) == 0
    assert scaling_on_paper.ring_seconds(2, 8e6, 1e9) == pytest.approx(8e-3)
    once, twice = (scaling_on_paper.ring_seconds(8, size, 1e9) for size in (8e6, 16e6))
    assert twice == pytest.approx(2 * once)
    # However many devices, each sends its bytes at most twice.
    assert once < scaling_on_paper.ring_seconds(10_000, 8e6, 1e9) < 16e-3
    assert scaling_on_paper.ring_seconds(8, 0, 1e9, hop=1e-6) == pytest.approx(14e-6)


def test_nodes_sum_among_themselves_what_each_gpu_holds_a_share_of():
    one = scaling_on_paper.ring_seconds(8, 8e6, scaling_on_paper.NVLINK)
    assert scaling_on_paper.sum_seconds(8, 8e6) == one
    between = scaling_on_paper.ring_seconds(4, 1e6, scaling_on_paper.INFINIBAND)
    assert scaling_on_paper.sum_seconds(32, 8e6) == pytest.approx(one + between)
    assert scaling_on_paper.sum_seconds(32, 8e6, latency=True) > one + between
    assert scaling_on_paper.least_compute(2.0, 0.9) == pytest.approx(18)


def test_rates_of_batches_are_of_the_whole_time():
    found = loader_speed.summary([0.001, 0.001, 0.001, 0.037], rays=100)
    assert (found["median_ms"], found["batches_per_second"]) == (1, 100)
    assert found["rays_per_second"] == 10_000


def test_time_of_an_inner_stage_is_not_the_outer_ones():
    ticks = iter([0.0, 1.0, 3.0, 3.5, 4.5, 10.0])
    watch = preparation_speed.Stopwatch(lambda: next(ticks))
    load = watch.timed("load", lambda x: x)
    with watch.stage("outer"):
        assert load("model") == "model" and load("again") == "again"
    assert watch.seconds == {"load": 3.0, "outer": 7.0}


def test_baselines_of_the_hash_grid_are_the_hash_grid():
    spec = hashgrid.GridSpec(3, 4, 20, 8)
    table = hashgrid.init_table(jax.random.key(0), spec, 1.0)
    points = grids.ray_points(40)
    wanted = hashgrid.encode(table, points, spec)
    for form in grids.unrolled, grids.flat:
        np.testing.assert_allclose(form(table, points, spec), wanted, atol=1e-5)
    ones = jnp.ones((3, grids._every_level(points[:2], spec)[1], 2))
    found = grids.planes(ones, points, spec)
    assert found.shape == (3, 40, 6)
    np.testing.assert_allclose(found, 1, atol=1e-6)
    # Each pair of axes has a table of its own, which sees no other axis.
    found = grids.planes(ones * jnp.arange(3.0)[:, None, None], points, spec)
    np.testing.assert_allclose(
        found, np.tile([0, 0, 1, 1, 2, 2], (3, 40, 1)), atol=1e-6
    )
