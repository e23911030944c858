import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluation.metrics import expression, head, mouth

NAMES = ("browDownLeft", "eyeBlinkLeft", "eyeLookUpLeft", "jawOpen", "mouthSmileLeft")


def clip(count=6, seed=0):
    """A face in 3D, about 120 pixels wide, which stands still."""
    rng = np.random.default_rng(seed)
    face = 100 * rng.random((478, 3))
    return np.float32(np.tile(face, (count, 1, 1)))


def test_shape_does_not_see_pose_or_size():
    truth = clip()
    turn = Rotation.from_rotvec([0.2, -0.4, 0.1]).as_matrix()
    moved = np.float32(1.3 * truth @ turn.T + [20, -5, 3])
    np.testing.assert_allclose(head.shape_error(truth, moved), 0, atol=1e-5)
    mirrored = truth * [-1, 1, 1]
    other = clip(seed=1)
    for wrong in mirrored, other:
        assert head.shape_error(truth, np.float32(wrong)).min() > 0.1
    wider = truth.copy()
    wider[..., 0] *= 1.1
    error = head.shape_error(truth, wider)
    assert 0.005 < error.max() < 0.1
    smiling = truth.copy()
    smiling[:, list(face_mesh.LIPS), :2] += 4
    np.testing.assert_allclose(head.shape_error(truth, smiling), 0, atol=1e-6)


def test_jitter_is_the_second_difference():
    still, frames = clip(7), np.arange(7)
    steady = still + np.float32(2) * frames[:, None, None]  # even motion is no jitter
    np.testing.assert_allclose(head.jitter(steady, frames)[1:-1], 0, atol=1e-4)
    shaken = still.copy()
    shaken[1::2, :, 0] += 1.5
    found = head.jitter(shaken, frames)
    np.testing.assert_allclose(found[1:-1], 3, atol=1e-4)
    assert np.isnan(found[[0, -1]]).all()
    gap = np.array([0, 1, 2, 10, 11, 12, 13])
    assert np.isfinite(head.jitter(shaken, gap)).tolist() == [
        False, True, False, False, True, True, False,
    ]  # fmt: skip
    assert set(mouth.POINTS).isdisjoint(face_mesh.RIGID)
    assert np.isnan(head.jitter(still[:2], frames[:2])).all()


def test_expressions_are_summed_by_half():
    truth = np.zeros((2, 5))
    other = np.array([[0.1, 0.2, 0.9, 0.0, 0.0], [0.0, 0.0, 0.9, 0.3, 0.4]])
    shapes = expression.Blendshapes(truth, other, NAMES)
    upper, lower = expression.blendshape_errors(shapes)
    np.testing.assert_allclose(upper, [0.05, 0])
    np.testing.assert_allclose(lower, [0, 0.25])


def test_openings_are_in_face_widths():
    face = clip(1)
    width = np.linalg.norm(face[0, 234, :2] - face[0, 454, :2])
    face[0, 13], face[0, 14] = [0, 0, 0], [0, 10, 0]
    found = mouth.openings(face)
    assert found[0] == pytest.approx(10 / width, rel=1e-5)
    assert mouth.openings(3 * face)[0] == pytest.approx(found[0], rel=1e-5)


def test_mouth_distance_ignores_where_the_mouth_is():
    truth = clip(1)
    moved = truth + np.float32([30, -20, 5])
    assert mouth.landmark_distance(truth, moved)[0] == pytest.approx(0, abs=1e-4)
    # One point of twenty moved by 2 px: it keeps 19/20 of that from the mean, and
    # the others get 1/20 each.
    moved[0, mouth.POINTS[0], 0] += 2
    wanted = (2 * 19 / 20 + 19 * 2 / 20) / 20
    assert mouth.landmark_distance(truth, moved)[0] == pytest.approx(wanted, abs=1e-4)
    assert len(set(mouth.POINTS)) == 20 and set(mouth.POINTS) <= set(face_mesh.LIPS)
