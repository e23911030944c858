"""The command `render.py` inside a test's process."""

import contextlib
import io
import shutil

import numpy as np

from lokitalk_jax.avatar import backdrop, frame_stream
from lokitalk_jax.cli import render


def command(run, *flags):
    assert render.main([f"--workdir={run.workdir}", *flags], "render.py") == 0


def plate_of(avatar):
    return backdrop.find("plate", avatar.record)


def frames_of(avatar, shown):
    """Renders of a motion, float32 [F, H, W, 3]."""
    stream = frame_stream.render(avatar.renderer, shown.frames(), plate_of(avatar))
    return np.stack([np.asarray(frame.rgb) for frame in stream])


def copied(run, tmp_path):
    """A copy of the run's folder that a test may damage."""
    shutil.copytree(run.workdir, tmp_path / "run")
    return run._replace(workdir=tmp_path / "run")


def refusal(run, *arguments):
    flags = [*arguments, f"--workdir={run.workdir}"]
    with contextlib.redirect_stderr(io.StringIO()) as written:
        assert render.main(flags, "render.py") == 1
    message = written.getvalue().splitlines()[-1]
    assert message.startswith("render.py: ")
    return message
