import importlib.machinery
import sys
import types

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluate.clip_scores import landmark_rows
from lokitalk_jax.evaluate.contrib import fan
from lokitalk_jax.evaluate.face_pairs import FacePairs
from lokitalk_jax.evaluate.frame_scores import FrameScorer
from lokitalk_jax.evaluate.metrics import expression, head, mouth
from lokitalk_jax.prepare import faces

NAMES = ("browDownLeft", "eyeBlinkLeft", "eyeLookUpLeft", "jawOpen", "mouthSmileLeft")


def clip(count=6, seed=0):
    """A face in 3D, about 120 pixels wide, which stands still."""
    rng = np.random.default_rng(seed)
    face = 100 * rng.random((478, 3))
    return np.float32(np.tile(face, (count, 1, 1)))


class Still:
    """Finds the same face in every frame."""

    def faces(self, rgb):
        return [faces.Face(clip(1)[0])]


def test_equal_faces_have_no_error():
    pairs = FacePairs((Still(), Still()))
    for _ in range(6):
        pairs.add(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))
    rows = landmark_rows(pairs, np.arange(6))
    for key in "lmd_px", "lmd_face", "eye_ratio_error", "jitter_px", "shape_error":
        values = [row[key] for row in rows if row[key] is not None]
        np.testing.assert_allclose(values, 0, atol=1e-6)
    assert rows[0]["jitter_px"] is None and rows[1]["jitter_px"] is not None
    assert rows[0]["blendshapes_upper"] is None


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


class Expressive:
    """Finds a face in every second frame, with expressions."""

    def __init__(self):
        self._calls = 0

    def faces(self, rgb):
        self._calls += 1
        if self._calls % 2:
            return []
        scores = dict.fromkeys(NAMES, 0.5)
        return [faces.Face(clip(1)[0], scores)]


def test_expressions_of_missed_faces_are_unknown():
    pairs = FacePairs((Expressive(), Expressive()))
    rgb = np.zeros((8, 8, 3), np.uint8)
    for _ in range(4):
        pairs.add(rgb, rgb)
    truth, prediction, names = pairs.blendshapes()
    assert names == NAMES and truth.shape == prediction.shape == (4, 5)
    rows = landmark_rows(pairs, np.arange(4))
    assert [row["blendshapes_upper"] for row in rows] == [None, 0, None, 0]


def test_openings_are_in_face_widths():
    face = clip(1)
    width = np.linalg.norm(face[0, 234, :2] - face[0, 454, :2])
    face[0, 13], face[0, 14] = [0, 0, 0], [0, 10, 0]
    found = mouth.openings(face)
    assert found[0] == pytest.approx(10 / width, rel=1e-5)
    assert mouth.openings(3 * face)[0] == pytest.approx(found[0], rel=1e-5)


def test_fan_is_used_where_it_is_installed(monkeypatch, tmp_path):
    assert fan.find() is None
    network = types.ModuleType("face_alignment")
    network.__spec__ = importlib.machinery.ModuleSpec("face_alignment", None)
    small, large = np.zeros((68, 2)), 100 * np.random.default_rng(0).random((68, 2))

    class FaceAlignment:
        def __init__(self, kind, device):
            assert (kind, device) == ("2D", "cpu")

        def get_landmarks(self, rgb):
            return [small, large] if rgb.any() else None

    network.FaceAlignment = FaceAlignment
    network.LandmarksType = types.SimpleNamespace(TWO_D="2D")
    monkeypatch.setitem(sys.modules, "face_alignment", network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert fan.find() is None  # no weights, and none are fetched
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    for name in "2DFAN4-cd938726ad.zip", "s3fd-619a316812.pth":
        (tmp_path / "hub" / "checkpoints" / name).write_bytes(b"")
    finder = fan.find()
    black, grey = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 90, np.uint8)
    np.testing.assert_array_equal(finder(grey), large)
    assert finder(black) is None and fan.mouth_distance(large, None) is None
    moved = large + [30, -20]
    assert fan.mouth_distance(large, moved) == pytest.approx(0)
    moved[60, 0] += 2
    assert fan.mouth_distance(large, moved) == pytest.approx(0.19)
    row = FrameScorer()(
        grey / np.float32(255), grey / np.float32(255), np.ones((64, 64, 4))
    )
    assert row["lmd_fan_px"] == 0
