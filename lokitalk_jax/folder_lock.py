"""A folder that one process at a time writes to.

The lock is the operating system's, on a file that names the holder: it ends with the
process, however that ends, so a lock that was left behind is taken over. Between hosts
it needs a file system with locks (NFS 4, or Lustre mounted with flock); elsewhere it
notices the processes of its own host only. On Windows nothing is locked.
"""

import contextlib
import json
import logging
import os
import pathlib
import socket
import time
from collections.abc import Iterator
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_LOG = logging.getLogger(__name__)

NAME = ".lock"

# A server learns of the end of another host only when that host's lease has expired.
_OTHER_HOST_SECONDS = 120
_POLL_SECONDS = 2


@contextlib.contextmanager
def hold(
    folder: pathlib.Path,
    inside: str = "",
    other_host_seconds: float = _OTHER_HOST_SECONDS,
) -> Iterator[None]:
    """Holds the lock of a folder, which is made where missing, during the block.

    Args:
      folder: to write to.
      inside: subfolder for the lock's file.
      other_host_seconds: how long to wait for a holder on another host.

    Raises:
      ValueError: another process holds it; names its host and number.
    """
    if fcntl is None:
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    path = folder / inside / NAME
    until = time.monotonic() + other_host_seconds
    while (file := _locked(path)) is None:
        holder = _read(path)
        remote = holder.get("host", socket.gethostname()) != socket.gethostname()
        if not remote or time.monotonic() > until:
            raise ValueError(
                f"{folder} is in use by process {holder.get('process', '?')} on host "
                f"{holder.get('host', '?')}, since {holder.get('since', '?')}; wait "
                "for it, stop it, or give another folder"
            )
        time.sleep(_POLL_SECONDS)
    with file:
        if left := _read(path):
            _LOG.info(
                "taking over %s from process %s on host %s, which was killed",
                folder,
                left.get("process", "?"),
                left.get("host", "?"),
            )
        _write(file)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # they hold files by now
                for one in made:
                    one.rmdir()


def _locked(path: pathlib.Path) -> IO[str] | None:
    """The open and locked file; None if another process holds it."""
    assert fcntl is not None
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:  # a file system without locks
            _LOG.warning("%s cannot be locked (%s): start one run there", path, error)
        # The last holder may have removed it between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        file.close()


def _read(path: pathlib.Path) -> dict:
    """The holder that the file names; empty if it names none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: IO[str]) -> None:
    holder = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    file.truncate(0)
    file.write(json.dumps(holder) + "\n")
    file.flush()
