"""Poses of many frames: exact in parts, and small in memory."""

import tracemalloc

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh
from lokitalk_jax.preparation import bundle, torso, tracks

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


def test_tracks_of_a_long_clip_need_few_kilobytes_a_frame():
    def peak(count):
        rng = np.random.default_rng(0)
        points = rng.uniform(20, 108, (200, 2)).astype(np.float32)
        drift = np.cumsum(0.05 * rng.normal(size=(count, 1, 2)), axis=0)
        places = (points + drift).astype(np.float32)
        warp = np.tile(np.eye(2, 3, dtype=np.float32), (count, 1, 1))
        warp[:, :, 2] = drift[:, 0]
        ones = np.ones((count, 200), np.float32)
        sharpness = np.tile(np.eye(2, dtype=np.float32), (200, 1, 1))
        motion = torso.TorsoMotion(warp, ones[:, 0], points, places, ones, sharpness)
        poses = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
        poses[:, 2, 3] = 0.8
        landmarks = np.zeros((count, face_mesh.LANDMARK_COUNT, 3), np.float32)
        landmarks[:] = rng.uniform(20, 108, landmarks.shape[1:])
        valid = np.ones(count, bool)
        tracemalloc.start()
        try:
            tracks.assemble(landmarks, valid, ~valid, poses, motion, 150, (64, 64))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Copies of the landmarks alone would be 11 kB a frame.
    assert (peak(1500) - peak(500)) / 1000 < 4000
