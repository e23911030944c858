import importlib.machinery
import sys
import types

import numpy as np
import pytest

from lokitalk_jax.evaluation.contrib import fan
from lokitalk_jax.evaluation.frame_scores import FrameScorer


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
