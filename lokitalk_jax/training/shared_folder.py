"""Whether all processes of a cluster see one workdir."""

import pathlib
import secrets
import socket
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from lokitalk_jax import process

# A network file system shows a new file to other hosts after its caches expire.
_SECONDS = 60


def check(workdir: pathlib.Path) -> None:
    """Has every process look for a file that the first one makes.

    All processes call it, at the same time.

    Raises:
      ValueError: this process does not see the file.
    """
    if jax.process_count() == 1:
        return
    process.meet("workdir")
    number = np.uint32(secrets.randbits(32))
    mark = workdir / f".shared-{int(multihost_utils.broadcast_one_to_all(number)):08x}"
    if jax.process_index() == 0:
        mark.touch()
    try:
        multihost_utils.sync_global_devices("mark of the workdir")
        until = time.monotonic() + _SECONDS
        while not _seen(mark):
            if time.monotonic() > until:
                raise ValueError(
                    f"workdir={workdir} is not shared: host {socket.gethostname()} "
                    "does not see a file that the first process has made there; give "
                    "a folder on a file system that all hosts share"
                )
            time.sleep(1)
        multihost_utils.sync_global_devices("workdir is shared")
    finally:
        if jax.process_index() == 0:
            mark.unlink(missing_ok=True)


def _seen(mark: pathlib.Path) -> bool:
    """Whether the folder lists the file; a lookup by name may be cached for longer."""
    return mark.parent.is_dir() and mark in mark.parent.iterdir()
