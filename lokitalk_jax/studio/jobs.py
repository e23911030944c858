"""A queue of commands, one running at a time; it survives a restart of the server.

Each job is a file. A job that ran when the server ended waits again at the next start:
every command resumes what it had begun.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from lokitalk_jax import files
from lokitalk_jax.studio import commands, processes

WAITING, RUNNING, DONE, FAILED, STOPPED = (
    "waiting",
    "running",
    "done",
    "failed",
    "stopped",
)
_STOPPING = "stopped"  # message of a running job that was asked to stop
_POLL = 0.2  # seconds
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d ")  # that lines of the log begin with


# Advice that names a flag, and what a page says instead.
_ON_THE_PAGE = {
    "choose another stretch with --start=... and --end=...": "choose another stretch",
    "pass --no-audio to prepare a silent identity": "take one in which somebody speaks",
}


@dataclasses.dataclass
class Job:
    """One command.

    Attributes:
      key: names it.
      person: name of the identity that it works on.
      kind: prepare, train, speak or example.
      command: arguments of `lokitalk`.
      state: waiting, running, done, failed or stopped.
      message: why it failed.
      created, started, ended: seconds since the epoch, or 0.
      process: of the command, while it runs.
    """

    key: str
    person: str
    kind: str
    command: list[str]
    state: str = WAITING
    message: str = ""
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    process: processes.Identity | None = None


class Jobs:
    """The queue and its thread."""

    def __init__(self, root: pathlib.Path):
        """Reads the jobs in `root`/jobs; `start` runs them, in the folder `root`."""
        self._root = root
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._stages: dict[str, dict[str, dict[str, Any]]] = {}
        self._read: dict[str, int] = {}
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for path in sorted((root / "jobs").glob("[!.]*.json")):
            job = Job(**json.loads(path.read_text("utf-8")))
            if job.state == RUNNING:
                processes.end_orphan(job.process)
                job.state = STOPPED if job.message == _STOPPING else WAITING
                job.process = None
                self._save(job)
            self._jobs[job.key] = job

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stops the running command, which waits for the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, person: str, kind: str, command: Sequence[str], key: str = "") -> Job:
        """Adds a job at the end of the queue.

        Raises:
          ValueError: the same is waiting or running already.
        """
        with self._lock:
            if kind != "speak":
                self.refuse_second(person, kind)
            key = key or new_key()
            job = Job(key, person, kind, list(command), created=time.time())
            self._save(job)
            self._jobs[key] = job
        self._wake.set()
        return job

    def stop(self, key: str) -> None:
        """Stops a job; a running command may save its state.

        Raises:
          KeyError: there is no such job.
        """
        with self._lock:
            job = self._jobs[key]
            if job.state == WAITING:
                self._finish(job, STOPPED)
            elif job.state == RUNNING:
                job.message = _STOPPING
                self._try_save(job)  # and it is not begun anew if the server is killed
                processes.interrupt(job.process)

    def busy(self, person: str, kind: str) -> bool:
        """Whether such a job waits or runs."""
        return any(job.state in (WAITING, RUNNING) for job in self._of(person, kind))

    def refuse_second(self, person: str, kind: str) -> None:
        """Refuses a job of which there is one.

        Raises:
          ValueError: the same is waiting or running already.
        """
        if self.busy(person, kind):
            raise ValueError(
                f"{person}: {kind} is waiting or running already; stop it first"
            )

    def last(self, person: str, kind: str) -> Job | None:
        """The newest such job, or None."""
        return max(self._of(person, kind), key=lambda job: job.created, default=None)

    def _of(self, person: str, kind: str) -> list[Job]:
        with self._lock:
            jobs = list(self._jobs.values())
        return [job for job in jobs if (job.person, job.kind) == (person, kind)]

    def listed(self) -> list[dict[str, Any]]:
        """All jobs, oldest first, with their progress and their place in the queue."""
        with self._lock:
            jobs = sorted(self._jobs.values(), key=lambda job: job.created)
            waiting = [job.key for job in jobs if job.state == WAITING]
            return [
                {
                    "key": job.key,
                    "person": job.person,
                    "kind": job.kind,
                    "state": job.state,
                    "message": job.message,
                    "created": job.created,
                    "started": job.started,
                    "ended": job.ended,
                    "command": commands.shown(job.command),
                    "stages": list(self._progress(job.key).values()),
                    "place": waiting.index(job.key) if job.key in waiting else None,
                }
                for job in jobs
            ]

    def _progress(self, key: str) -> dict[str, dict[str, Any]]:
        """The last report of each stage; reads what was written since the last call."""
        stages = self._stages.setdefault(key, {})
        path = self._file(key, ".progress")
        with (
            contextlib.suppress(FileNotFoundError),
            open(path, encoding="utf-8") as file,
        ):
            file.seek(self._read.get(key, 0))
            while (line := file.readline()).endswith("\n"):
                self._read[key] = file.tell()
                # A full disk or a kill may have cut a line off, and joined the next.
                with contextlib.suppress(ValueError):
                    report = json.loads(line)
                    stages[report["stage"]] = report
        return stages

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            job = self._next()
            if job is None:
                self._wake.wait()
            else:
                self._run_one(job)

    def _next(self) -> Job | None:
        with self._lock:
            waiting = [job for job in self._jobs.values() if job.state == WAITING]
            return min(waiting, key=lambda job: job.created, default=None)

    def _run_one(self, job: Job) -> None:
        with self._lock:  # which keeps a stop from coming between
            if job.state != WAITING:
                return
            try:
                process = self._started(job)
            except OSError as error:
                job.message = str(error)
                return self._finish(job, FAILED)
        code = self._ended(job, process)
        with self._lock:
            job.process = None
            if job.message == _STOPPING:
                self._finish(job, STOPPED)
            elif code == 0:
                self._finish(job, DONE)
            elif self._closing.is_set():
                job.state = WAITING
                self._try_save(job)
            else:
                job.message = self._reason(job, code)
                self._finish(job, FAILED)

    def _started(self, job: Job) -> subprocess.Popen:
        """Starts the command of a job."""
        progress = {"LOKITALK_PROGRESS": str(self._file(job.key, ".progress"))}
        with open(self._file(job.key, ".log"), "wb") as log:
            process = subprocess.Popen(
                commands.argv(job.command),
                cwd=self._root,
                env=os.environ | progress,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        job.state, job.message, job.started = RUNNING, "", time.time()
        job.process = processes.identity(process.pid)
        self._try_save(job)
        return process

    def _ended(self, job: Job, process: subprocess.Popen) -> int:
        """Waits for the end of a command; returns its exit status."""
        while process.poll() is None:
            if self._closing.wait(_POLL):
                processes.end(process, job.process)
        return process.returncode

    def _reason(self, job: Job, code: int) -> str:
        """Why a command failed: by a signal, or as the last line of its log says."""
        if code < 0:
            name = signal.Signals(-code).name
            return f"it was killed ({name}), often for want of memory; start it again"
        text = self._file(job.key, ".log").read_text("utf-8", errors="replace")
        lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
        line = _CLOCK.sub("", lines[-1]) if lines else f"it ended with status {code}"
        line = line.removeprefix(f"lokitalk {job.kind}: ").removeprefix("lokitalk: ")
        line = line.replace(f"{self._root}{os.sep}", "")
        for flag, page in _ON_THE_PAGE.items():
            line = line.replace(flag, page)
        return line

    def _finish(self, job: Job, state: str) -> None:
        job.state, job.ended, job.process = state, time.time(), None
        self._try_save(job)

    def _try_save(self, job: Job) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the queue
            self._save(job)

    def _save(self, job: Job) -> None:
        with files.replacing(self._file(job.key, ".json")) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(job)), "utf-8")

    def _file(self, key: str, suffix: str) -> pathlib.Path:
        return self._root / "jobs" / f"{key}{suffix}"


def new_key() -> str:
    """A name that nobody can guess."""
    return secrets.token_hex(8)
