"""Driving one identity by the clip of another."""

import jax
import numpy as np
import pytest

from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import pose_vectors


@pytest.fixture(scope="module")
def pair(tiny_run):
    run = OpenRun(tiny_run.workdir)
    return [run.record(name) for name in tiny_run.names]


def test_driving_an_avatar_by_its_own_clip_changes_nothing(pair):
    me, _ = pair
    frames = range(5, 20)
    drivers = {region: (me, frames) for region in ("lip", "eye", "head")}
    swapped, own = motion.swap(me, frames, drivers, 15), motion.tracked(me, frames)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), swapped, own)


def test_each_region_can_be_driven_alone(pair):
    me, you = pair
    frames = range(3, 13)
    own = motion.tracked(me, range(20, 30))
    theirs = motion.tracked(you, frames)
    for region in ("lip", "eye"):
        swapped = motion.swap(me, range(20, 30), {region: (you, frames)}, 10)
        np.testing.assert_array_equal(swapped.head_to_camera, own.head_to_camera)
        for name, leaf in swapped.signals._asdict().items():
            source = theirs if name == region else own
            np.testing.assert_array_equal(leaf, getattr(source.signals, name))


def test_head_motion_is_carried_over_about_the_mean_and_fits(pair):
    me, you = pair
    frames = range(10)
    wild = you._replace(
        signals=you.signals._replace(head=4 * you.signals.head),
        rest_pose=you.rest_pose + 1,
    )
    swapped = motion.swap(me, frames, {"head": (wild, frames)}, 10)
    relative = np.linalg.inv(me.rest_pose) @ swapped.head_to_camera
    found = pose_vectors.to_vector(relative.astype(np.float64))
    np.testing.assert_allclose(found, swapped.signals.head, atol=1e-5)
    share = found / wild.signals.head[:10]
    assert (share <= 1 + 1e-4).all()
    # One factor for angles and one for lengths: motion keeps its direction.
    assert np.ptp(share[:, :3]) < 1e-3 and np.ptp(share[:, 3:]) < 1e-3
    seen = np.sqrt(np.mean(swapped.signals.head[:, :3] ** 2))
    whole = np.sqrt(np.mean(me.signals.head[me.train_frames][:, :3] ** 2))
    assert seen < 2 * whole


def test_a_shorter_clip_is_played_forwards_and_backwards():
    np.testing.assert_array_equal(
        motion.back_and_forth(4, 11), [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]
    )
    np.testing.assert_array_equal(motion.back_and_forth(4, 3), [0, 1, 2])
    np.testing.assert_array_equal(motion.back_and_forth(1, 3), [0, 0, 0])
