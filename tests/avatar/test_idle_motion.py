"""Idle motion: blinks as often as people's, and a head that never jumps."""

import itertools

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import idle_motion
from lokitalk_jax.avatar.run import OpenRun


def test_blinks_are_as_frequent_as_people_s():
    eyes, minutes = idle_motion.blinks(seed=1), 20
    values = np.stack([next(eyes)[0] for _ in range(minutes * 60 * structs.FPS)])
    closed = (values[1:] < 0.2) & (values[:-1] >= 0.2)
    assert 22 < closed.sum() / minutes < 30
    assert values.min() >= 0 and values.max() <= 1
    again = idle_motion.blinks(seed=1)
    np.testing.assert_array_equal(values[:500], [next(again)[0] for _ in range(500)])


def test_the_head_moves_endlessly_without_a_jump(tiny_run):
    record = OpenRun(tiny_run.workdir).record(tiny_run.names[0])
    poses = idle_motion.training_poses(record)
    values = np.stack([next(poses)[0] for _ in range(5 * record.frame_count)])
    steps = np.abs(np.diff(values, axis=0)).max()
    seen = record.signals.head[record.train_frames]
    assert steps <= np.abs(np.diff(seen, axis=0)).max() * 1.5 + 1e-6
    assert values.min() >= seen.min() - 1e-6 and values.max() <= seen.max() + 1e-6


def test_training_frames_are_nearest_to_the_training_poses(avatar):
    record = avatar.record
    poses = itertools.islice(idle_motion.training_poses(record), 80)
    frames = itertools.islice(idle_motion.training_frames(record), 80)
    for (head, _), frame in zip(poses, frames, strict=True):
        around = record.signals.head[max(frame - 1, 0) : frame + 2]
        assert (head >= around.min(0) - 1e-5).all()
        assert (head <= around.max(0) + 1e-5).all()
