"""Files and folders that are written whole or not at all."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import time
import uuid
import zlib
from collections.abc import Iterator

# .NAME-HOST-PROCESS-RANDOM.SUFFIX
_SCRATCH = re.compile(r"\..*-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}(?:\.\w+)?", re.DOTALL)
_LONGEST_STEM = 40  # characters, as file systems limit a name to 255 bytes
_SECONDS_PER_DAY = 86400


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary name next to `path` that replaces it if the block succeeds.

    Raises:
      OSError: a write of the block failed; names `path` where the block did not.
    """
    path = pathlib.Path(path)
    temporary = scratch(path)
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Adds `path` to an OSError of the block that names no file, as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename and os.fspath(path) not in str(error):
            error.filename = os.fspath(path)
        raise


def refuse_overwriting(path: str | os.PathLike, **inputs: object) -> None:
    """Refuses to write a file that is read.

    Args:
      path: to write.
      inputs: paths by their names in the message; other values are no files.

    Raises:
      ValueError: it is one of these files.
    """
    for name, other in inputs.items():
        if not (isinstance(other, str | os.PathLike) and os.path.exists(path)):
            continue
        if os.path.exists(other) and os.path.samefile(path, other):
            raise ValueError(
                f"{os.fspath(path)} is also {name}={os.fspath(other)}, which it would "
                "replace; give the result another name"
            )


def scratch(path: pathlib.Path) -> pathlib.Path:
    """An unused hidden name next to `path`, with its suffix.

    The caller makes the file or folder, so that it gets the usual permissions. `sweep`
    removes it if the process is killed.
    """
    stem = path.stem[:_LONGEST_STEM]
    owner = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{stem}-{owner}{path.suffix}")


def sweep(folder: str | os.PathLike) -> None:
    """Removes the `scratch` of killed processes from a folder.

    Whether a process of another host lives is unknown, and of any on Windows; their
    scratch stays for a day.
    """
    for path in pathlib.Path(folder).glob(".*-*-*-*"):
        found = _SCRATCH.fullmatch(path.name)
        if found is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # another process was first
            if found[1] == _host() and os.name == "posix":
                left = not _lives(int(found[2]))
            else:
                left = time.time() - path.stat().st_mtime > _SECONDS_PER_DAY
            if left and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif left:
                path.unlink()


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _lives(process: int) -> bool:
    """Whether there is a process of that number on this host."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True
