"""Processes of commands: who they are, and how they end."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

# Id, and start time in the clock of the system or "" where it is unknown: ids return.
Identity = tuple[int, str]

_POLL = 0.2  # seconds
_GRACE = 60  # seconds in which a command that was asked to stop may save
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the latter only


def identity(process: int) -> Identity:
    """The identity of the process with this id."""
    return process, _start_time(process)


def interrupt(process: Identity | None) -> None:
    """Asks a command to save and to end."""
    _signal(process, signal.SIGTERM)


def end(process: subprocess.Popen, known: Identity | None) -> None:
    """Ends a child, which may save first, and waits for it."""
    interrupt(known)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _signal(known, _KILL)
        process.wait()


def end_orphan(process: Identity | None) -> None:
    """Ends a command that has outlived its server; it may save first."""
    if not process or not process[1]:
        return
    interrupt(process)
    for _ in range(int(_GRACE / _POLL)):
        if process[1] != _start_time(process[0]):
            return
        time.sleep(_POLL)
    _signal(process, _KILL)


def _start_time(process: int) -> str:
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def _signal(process: Identity | None, number: int) -> None:
    """Sends a signal to the group of a process, if it is still the same process."""
    if process and process[1] == _start_time(process[0]):
        with contextlib.suppress(ProcessLookupError):
            # Windows has no groups, and ends a process at once.
            getattr(os, "killpg", os.kill)(process[0], number)
