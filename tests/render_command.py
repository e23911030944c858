"""The command `render.py` inside a test's process."""

import shutil

import numpy as np
import pytest

import render
from lokitalk_jax.avatar import backdrop, video_file


def command(run, *flags):
    render.main([f"--workdir={run.workdir}", *flags])


def plate_of(avatar):
    return backdrop.find("plate", avatar.record)


def frames_of(avatar, shown):
    """Renders of a motion, float32 [F, H, W, 3]."""
    stream = video_file.stream(avatar.renderer, shown.frames(), plate_of(avatar))
    return np.stack([np.asarray(frame.rgb) for frame in stream])


def copied(run, tmp_path):
    """A copy of the run's folder that a test may damage."""
    shutil.copytree(run.workdir, tmp_path / "run")
    return run._replace(workdir=tmp_path / "run")


def refusal(run, *flags):
    with pytest.raises(SystemExit) as stopped:
        command(run, *flags)
    message = str(stopped.value)
    assert message.startswith("render.py: ")
    return message
