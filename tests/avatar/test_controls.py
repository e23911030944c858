"""Pose, eyes, lips and camera that are set by hand."""

import numpy as np
import pytest

from lokitalk_jax.avatar import controls, motion
from lokitalk_jax.avatar.controls import Controls
from lokitalk_jax.avatar.motion import FrameMotion


@pytest.fixture
def frame(avatar):
    record = avatar.record
    signals = motion.tracked(record, [3]).frame(0).signals
    return FrameMotion(motion.head_pose(record, signals.head), signals)


def test_defaults_change_nothing(avatar, frame):
    moved = controls.apply(avatar.record, frame, Controls())
    np.testing.assert_allclose(moved.head_to_camera, frame.head_to_camera)
    for one, other in zip(moved.signals, frame.signals, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_turned_head_turns_in_the_picture_and_the_torso_knows(avatar, frame):
    moved = controls.apply(avatar.record, frame, Controls(turn=10.0, lip=(0.5,)))
    by = np.zeros(6)
    by[1] = np.radians(10)
    np.testing.assert_allclose(moved.signals.head - frame.signals.head, by, atol=1e-6)
    torso = (moved.signals.torso - frame.signals.torso).reshape(-1, 6)
    np.testing.assert_allclose(torso, np.tile(by, (len(torso), 1)), atol=1e-6)
    assert moved.signals.lip[0] == pytest.approx(frame.signals.lip[0] + 0.5)
    expected = motion.head_pose(avatar.record, moved.signals.head)
    np.testing.assert_allclose(moved.head_to_camera, expected)


def test_a_circling_camera_keeps_the_head_in_the_middle(avatar, frame):
    record = avatar.record
    plain = motion.head_pose(record, record.rest.head)
    rest = frame._replace(
        head_to_camera=plain, signals=frame.signals._replace(head=record.rest.head)
    )
    centre = np.append(controls._CENTRE, 1)
    for given in Controls(yaw=20.0), Controls(pitch=-15.0):
        seen = controls.apply(record, rest, given).head_to_camera
        np.testing.assert_allclose(seen @ centre, plain @ centre, atol=1e-5)
        relative = plain[:3, :3].T @ seen[:3, :3]
        angle = np.degrees(np.arccos((np.trace(relative) - 1) / 2))
        assert angle == pytest.approx(abs(given.yaw + given.pitch), abs=0.01)
    far = controls.apply(record, rest, Controls(distance=2.0)).head_to_camera
    assert far[2, 3] == pytest.approx(2 * plain[2, 3])


def test_ranges_hold_most_training_frames(avatar):
    record = avatar.record
    found = controls.ranges(record)
    lip = record.signals.lip[record.train_frames] - record.rest.lip
    assert len(found.lip) == lip.shape[1]
    for (low, high), column in zip(found.lip, lip.T, strict=True):
        assert low < high and np.mean((column >= low) & (column <= high)) > 0.9
    assert found.turn[0] < found.turn[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Controls(lip=(0.0,) * 99), "lip has 99 numbers"),
        (Controls(yaw=np.nan), "must be finite"),
        (Controls(eye=-1.0), "eye=-1"),
        (Controls(distance=0.0), "distance=0"),
    ],
)
def test_controls_that_cannot_be_used_are_refused(avatar, given, words):
    with pytest.raises(ValueError, match=words):
        controls.check(given, avatar.record)
