"""Keeps MediaPipe's set-up messages and outdated calls out of the terminal."""

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator

_stderr_lock = threading.Lock()


@contextlib.contextmanager
def old_protobuf() -> Iterator[None]:
    """Silences protobuf's warning that MediaPipe calls it by old names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SymbolDatabase", UserWarning)
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discards what native code writes to the error stream.

    MediaPipe reports its set-up there, past Python's logging; Python's exceptions pass
    through.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    with _stderr_lock, open(os.devnull, "w") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
