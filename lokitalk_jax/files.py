"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary name next to `path` that replaces it if the block succeeds."""
    path = pathlib.Path(path)
    temporary = scratch(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def scratch(path: pathlib.Path) -> pathlib.Path:
    """An unused hidden name next to `path`, with its suffix.

    The caller makes the file or folder, so that it gets the usual permissions.
    """
    return path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}{path.suffix}")
