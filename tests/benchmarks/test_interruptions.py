"""Parts of the benchmarks that interrupt commands and damage their inputs."""

import pathlib

import numpy as np
import pytest
import video_files

from benchmarks import corrupted_inputs, corruptions, kills, slurm_jobs, small_model
from lokitalk_jax import config as configs
from lokitalk_jax.media import video_reader

HERE = pathlib.Path("here")


def test_small_runs_set_fields_that_configs_have():
    inputs = corrupted_inputs.Inputs(*[HERE] * len(corrupted_inputs.Inputs._fields))
    words = small_model.spoken_run(HERE, HERE)
    for task in kills.tasks(HERE, HERE, HERE):
        words += task.arguments
    for case in corrupted_inputs.CASES.values():
        words += case.command(inputs, HERE)
    given = [one for one in words if one.startswith("--config.")]
    names = {one.removeprefix("--config.").partition("=")[0] for one in given}
    names |= slurm_jobs.FIELDS.keys()
    assert names >= small_model.FIELDS.keys()
    config = configs.load("multi_id:draft_cpu")
    for name in names:
        configs.get_field(config, name)  # raises where there is none


@pytest.mark.parametrize("name", ["flip_behind", "cut_late", "hole"])
def test_damage_behind_the_head_of_a_clip_leaves_its_first_frames(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
    source = video_files.encode(tmp_path / "v.mp4", frames, np.arange(40) / 25)
    front = tmp_path / "front.mp4"
    corruptions.index_in_front(source, front)
    whole = front.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat") < len(whole) // 8
    corrupt = getattr(corruptions, name)
    damaged = {corrupt(whole, np.random.default_rng(seed)) for seed in range(5)}
    assert len(damaged) == 5 and whole not in damaged
    for data in damaged:
        front.write_bytes(data)
        assert next(video_reader.read_frames(front)).shape == (64, 64, 3)
