"""A studio to ask, whose commands may be replaced by short ones."""

import sys

import pytest

pytest.importorskip("uvicorn", reason="the extra `studio` is not installed")

import served_studio  # noqa: E402


@pytest.fixture
def studio(tmp_path):
    with served_studio.serving(tmp_path / "studio") as served:
        yield served


# What a command does in tests: its second word is Python.
_COMMAND = """
import json, os, sys, time
def report(stage, done, total, left=None):
    line = dict(stage=stage, done=done, total=total, seconds_left=left)
    print(json.dumps(line), file=open(os.environ["LOKITALK_PROGRESS"], "a"), flush=True)
{}
"""


@pytest.fixture
def scripts(monkeypatch):
    """Jobs of these kinds run Python instead: scripts["prepare"] = "..."."""
    from lokitalk_jax.studio import commands

    known = {}

    def argv(command):
        return [sys.executable, "-c", _COMMAND.format(known[command[0]])]

    monkeypatch.setattr(commands, "argv", argv)
    return known
