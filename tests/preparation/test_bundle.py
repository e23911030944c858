"""Poses of many frames: exact in parts, and small in memory."""

import tracemalloc

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax.preparation import bundle

POINTS = 100


def seen(count):
    """Points, poses and where the points are seen in `count` frames."""
    rng = np.random.default_rng(0)
    points = 0.05 * rng.normal(size=(POINTS, 3))
    turns = np.cumsum(0.003 * rng.normal(size=(count, 3)), axis=0)
    rotations = Rotation.from_rotvec(turns).as_matrix()
    shifts = np.cumsum(0.0005 * rng.normal(size=(count, 3)), axis=0) + [0, 0, 0.8]
    places = bundle.project(points, rotations, shifts)
    places += 0.001 * rng.normal(size=places.shape)
    weights = rng.uniform(0, 1, (count, POINTS))
    return points, rotations, shifts, bundle.Seen(places, 0.001, weights)


def test_poses_do_not_depend_on_the_parts_that_they_are_fitted_in(monkeypatch):
    arguments = (*seen(60), np.arange(60))
    whole = bundle.fit_poses(*arguments)
    monkeypatch.setattr(bundle, "_CHUNK", 7)
    for one, other in zip(whole, bundle.fit_poses(*arguments), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_long_clip_needs_few_kilobytes_a_frame():
    def peak(count):
        arguments = (*seen(count), np.arange(count))
        tracemalloc.start()
        try:
            bundle.fit_poses(*arguments)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Derivatives alone would be 10 kB a frame.
    assert (peak(1500) - peak(500)) / 1000 < 4000
