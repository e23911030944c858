import json

import numpy as np
import pytest
from test_image_metrics import frame, textured

from lokitalk_jax.evaluation.frame_scores import FrameScorer
from lokitalk_jax.evaluation.metrics import aggregate, psnr, ssim


def test_rows_of_frames_add_up_to_the_clip():
    rng = np.random.default_rng(0)
    truth = rng.random((5, 32, 40, 3)).astype(np.float32)
    prediction = np.clip(truth + 0.1 * rng.normal(size=truth.shape), 0, 1)
    prediction = prediction.astype(np.float32)
    regions = rng.random((5, 32, 40, 4)).astype(np.float32)
    regions[:3, ..., 0] = 0  # lips in two frames only
    regions[..., 1] = 0  # eyes nowhere
    prediction[4] = truth[4]
    scorer = FrameScorer()
    rows = [scorer(*of) for of in zip(truth, prediction, regions, strict=True)]
    scores = aggregate.clip_scores(rows, 1)
    assert scores == json.loads(json.dumps(scores, allow_nan=False))
    per_frame = [psnr.psnr(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["psnr"] == pytest.approx(np.mean(per_frame))
    similar = [ssim.ssim(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["ssim"] == pytest.approx(np.mean(similar))
    for name, column in ("lip", 0), ("head", 2), ("torso", 3):
        error = psnr.squared_error(truth, prediction)
        pooled = np.average(error, weights=regions[..., column])
        assert scores[name]["psnr"] == pytest.approx(-10 * np.log10(pooled))
    assert set(scores["eye"].values()) == {None}
    assert scores["frame"]["ms_ssim"] is None and scores["frame"]["cpbd"] is None
    low, high = scores["intervals"]["frame"]["psnr"]
    assert min(per_frame) <= low < scores["frame"]["psnr"] < high <= max(per_frame)
    assert scores["intervals"]["eye"]["psnr"] is None
    # One block does not show how blocks differ.
    assert aggregate.clip_scores(rows, 5)["intervals"]["frame"]["psnr"] is None


def test_a_region_of_everything_scores_as_the_frame():
    truth, prediction = (one[:64, :64] for one in textured(161, 161, 0))
    row = FrameScorer()(truth, prediction, np.ones((64, 64, 4), np.float32))
    for name in "psnr", "ssim", "lpips_alex":
        assert row[f"lip.{name}"] == pytest.approx(row[f"frame.{name}"], rel=1e-4)
    assert row["lip.pixels"] == 64 * 64
    half = np.zeros((64, 64, 4), np.float32)
    half[:, :32, 0], half[:, 32:, 1] = 1, 1
    spoiled = truth.copy()
    spoiled[:, :24] = prediction[:, :24]
    row = FrameScorer()(truth, spoiled, half)
    assert row["lip.lpips_alex"] > 5 * row["eye.lpips_alex"]
    assert row["eye.psnr"] == psnr.CAP > row["lip.psnr"]


def test_masks_of_another_shape_are_refused():
    truth = frame(0)
    with pytest.raises(ValueError, match="do not fit truth"):
        FrameScorer()(truth, truth, np.ones((24, 30, 3)))
