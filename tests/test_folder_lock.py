"""A folder has one writer at a time."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from lokitalk_jax import folder_lock

_HOLD = """
import pathlib, sys, time
from lokitalk_jax import folder_lock
with folder_lock.hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_held_folder_is_refused_and_taken_over_after_a_kill(tmp_path, caplog):
    folder = tmp_path / "run"
    process = holder(folder)
    wanted = f"{folder} is in use by process {process.pid} on host "
    wanted += socket.gethostname()
    with process, process.stdout:
        try:
            with pytest.raises(ValueError, match=wanted), folder_lock.hold(folder):
                pass
        finally:
            process.send_signal(signal.SIGKILL)
    with caplog.at_level("INFO"), folder_lock.hold(folder):
        assert f"taking over {folder} from process {process.pid}" in caplog.text
        held = json.loads((folder / folder_lock.NAME).read_text())
        assert held["process"] == os.getpid()
    assert not list(folder.iterdir())


def test_a_new_folder_that_stays_empty_goes(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock.hold(tmp_path / "run"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with folder_lock.hold(tmp_path / "run", "inside"):
        assert (tmp_path / "run" / "inside" / folder_lock.NAME).exists()


def test_a_damaged_lock_of_no_process_is_taken_over(tmp_path):
    (tmp_path / folder_lock.NAME).write_bytes(b"\xff{")
    with folder_lock.hold(tmp_path):
        assert json.loads((tmp_path / folder_lock.NAME).read_text())["host"]


def test_a_holder_on_another_host_is_waited_for(tmp_path):
    process = holder(tmp_path)
    lock = tmp_path / folder_lock.NAME
    lock.write_text(json.dumps({"host": "elsewhere", "process": 7, "since": "now"}))
    with process, process.stdout:
        try:
            with (
                pytest.raises(ValueError, match="process 7 on host elsewhere"),
                folder_lock.hold(tmp_path, other_host_seconds=0.1),
            ):
                pass
        finally:
            process.kill()


def test_where_the_system_has_no_locks_the_block_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "fcntl", None)  # as on Windows
    with folder_lock.hold(tmp_path / "run"), folder_lock.hold(tmp_path / "run"):
        assert not list((tmp_path / "run").iterdir())
