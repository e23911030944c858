"""The newest frame of a long rendering as a picture, for pages that show it."""

import os
import pathlib
import time

import numpy as np

from lokitalk_jax import files
from lokitalk_jax.media import image_file

_EVERY = 0.5  # seconds between pictures
_SUFFIXES = ".jpg", ".jpeg", ".png"


class LatestFrame:
    """Keeps one picture up to date."""

    def __init__(self, path: str | os.PathLike | None):
        """Nothing is written yet; None writes nothing at all.

        Raises:
          ValueError: the name has another suffix than pictures.
        """
        if path is not None and pathlib.Path(path).suffix.lower() not in _SUFFIXES:
            raise ValueError(
                f"latest_frame={os.fspath(path)} names no picture; give a name that "
                "ends in .jpg or .png"
            )
        self._path, self._next = path, 0.0

    def show(self, picture: np.ndarray) -> None:
        """Replaces the picture by uint8 [H, W, C], at most twice a second.

        Raises:
          OSError: it could not be written.
        """
        if self._path is None or time.monotonic() < self._next:
            return
        with files.replacing(self._path) as temporary:
            image_file.write(temporary, picture[..., :3])
        self._next = time.monotonic() + _EVERY
