"""A studio to ask, whose commands may be replaced by short ones, and its pages."""

import sys

import numpy as np
import pytest
import scipy.io.wavfile

pytest.importorskip("uvicorn", reason="the extra `studio` is not installed")

import served_studio  # noqa: E402
import web_page  # noqa: E402


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


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium, with two seconds of a loud voice at its microphone, again and again."""
    path = tmp_path_factory.mktemp("microphone") / "said.wav"
    at = np.arange(2 * 16000) / 16000
    wave = np.sin(2 * np.pi * 140 * at) * (np.sin(2 * np.pi * 3 * at) > 0)
    scipy.io.wavfile.write(path, 16000, np.int16(20000 * wave))
    with web_page.chromium(path) as browser:
        yield browser


@pytest.fixture
def page(browser, studio):
    """A page whose errors and foreign requests fail the test."""
    with web_page.opened(browser, studio.address) as page:
        yield page
