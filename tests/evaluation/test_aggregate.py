import numpy as np
import pytest

from lokitalk_jax.evaluation.metrics import aggregate


def test_intervals_contain_the_mean_about_as_often_as_stated():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        # A second of frames shares its level, as frames of one word do.
        levels = rng.normal(size=30).repeat(5) + 0.1 * rng.normal(size=150)
        rows = [{"frame.psnr": float(level)} for level in levels]
        low, high = aggregate.clip_scores(rows, 5)["intervals"]["frame"]["psnr"]
        held += low < 0 < high
    assert 0.87 < held / 100 < 0.99


def test_rows_that_would_spoil_a_mean_are_refused():
    with pytest.raises(ValueError, match="no frame was scored"):
        aggregate.clip_scores([], 25)
    with pytest.raises(ValueError, match="not finite"):
        aggregate.clip_scores([{"lpips": np.inf}], 25)
    with pytest.raises(ValueError, match="give every frame the same"):
        aggregate.clip_scores([{"lpips": 1.0}, {"psnr": 1.0}], 25)
