"""The log of a run survives kills and full disks."""

import json
import pathlib

import numpy as np
import pytest

from lokitalk_jax.training.metric_log import MetricLog


def test_a_torn_line_is_cut_and_the_log_continues(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "los')
    log = MetricLog(tmp_path)
    log.scalars(3, {"loss": 1.0, "psnr": float("inf")})
    log.image(3, "anna", np.zeros((4, 6, 3), np.uint8))
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3]
    assert lines[1]["psnr"] is None
    [events] = (tmp_path / "events").iterdir()
    assert b"loss" in events.read_bytes() and b"anna" in events.read_bytes()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_with_the_files_name(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    log = MetricLog(tmp_path)
    with pytest.raises(OSError, match="No space left.*metrics.jsonl"):
        log.scalars(1, {"loss": 1.0})
    with pytest.raises(OSError, match="No space left.*metrics.jsonl"):
        log.close()
