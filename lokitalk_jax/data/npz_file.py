"""Reads .npz files; every kind of damage raises the same error."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays [...] of a file, by name.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is damaged.
    """
    with _opened(path) as stored:
        return {name: stored[name] for name in stored.files}


def names(path: str | os.PathLike) -> list[str]:
    """Names of the arrays of a file, whose contents are not read; raises as `read`."""
    with _opened(path) as stored:
        return list(stored.files)


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[np.lib.npyio.NpzFile]:
    # NumPy leaves a damaged file open, so it is opened here.
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as stored:
                yield stored
        except Exception as error:  # zipfile, zlib or NumPy raise it
            raise ValueError(f"{os.fspath(path)} is damaged ({error})") from error


def refuse_other(
    arrays: dict[str, np.ndarray], wanted: dict[str, tuple[int | None, ...]]
) -> None:
    """Refuses arrays that are missing, of other shapes, or not finite numbers.

    Args:
      arrays: by name, [...].
      wanted: shapes, by name; None is any length.

    Raises:
      ValueError: one of them differs; names it.
    """
    for name, shape in wanted.items():
        if name not in arrays:
            raise ValueError(f"it holds no {name}")
        array = arrays[name]
        fits = array.ndim == len(shape) and all(
            length in (None, found)
            for length, found in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} does not hold finite numbers")
