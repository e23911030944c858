"""The command `lokitalk studio`."""

import contextlib
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys

import pytest

from lokitalk_jax.studio import jobs, processes
from lokitalk_jax.studio.jobs import Job


@contextlib.contextmanager
def running(*arguments):
    """A process, until the block ends."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_folder_has_one_studio_whose_job_no_second_one_ends(tmp_path):
    command = ["-m", "lokitalk_jax", "studio", f"--root={tmp_path}", "--no-browser"]
    with (
        running(*command, "--port=0") as first,
        running("-c", "import time; time.sleep(60)") as working,
    ):
        line = first.stdout.readline()
        port = line.rstrip("/\n").rpartition(":")[2]
        job = Job("a1", "anna", "train", ["train"], state=jobs.RUNNING)
        job.process = processes.identity(working.pid)
        text = json.dumps(dataclasses.asdict(job))
        (tmp_path / "jobs" / "a1.json").write_text(text, "utf-8")
        second = subprocess.run(
            [sys.executable, *command, f"--port={port}"],
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert working.poll() is None
        assert second.returncode == 1
        assert f"{tmp_path} is in use by process {first.pid} on host" in second.stderr
    assert not (tmp_path / "jobs" / ".lock").exists()
