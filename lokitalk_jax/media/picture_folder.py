"""Rendered frames as numbered PNG files, for programs that edit pictures."""

import os
import pathlib
import shutil
from typing import Self

import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from lokitalk_jax import files
from lokitalk_jax.media import synthetic


class PictureWriter:
    """Writes frames as they come; the folder appears, whole, when the block ends.

    Used as `with PictureWriter(path) as pictures: pictures.write(rgb)`. Files are
    000000.png and so on. Each is marked as synthetic media.
    """

    def __init__(self, path: str | os.PathLike):
        """Checks the place; nothing is written before the `with` block starts.

        Raises:
          ValueError: a file or a folder with contents is at `path`, or its parent is
            missing.
        """
        self.path = pathlib.Path(path)
        if self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
            raise ValueError(
                f"{self.path} is there already; name a new folder for the pictures, or "
                "a file that ends in .mp4 for a video"
            )
        if not self.path.absolute().parent.is_dir():
            raise ValueError(f"no folder {self.path.parent}; make it first")
        self._note = PIL.PngImagePlugin.PngInfo()
        self._note.add_text("Comment", synthetic.NOTE)
        self.frame_count = 0

    def __enter__(self) -> Self:
        files.sweep(self.path.absolute().parent)
        self._inside = files.scratch(self.path)
        self._inside.mkdir()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame, uint8 RGB [H, W, 3] or RGBA [H, W, 4].

        Raises:
          OSError: it could not be written (the disk is full, say).
        """
        with files.naming(self.path):
            PIL.Image.fromarray(frame).save(
                self._inside / f"{self.frame_count:06d}.png",
                pnginfo=self._note,
                compress_level=1,  # twice as fast as the default, a fifth larger
            )
        self.frame_count += 1

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                if self.path.exists():
                    self.path.rmdir()  # empty; Windows would not replace it
                self._inside.rename(self.path)
        finally:
            shutil.rmtree(self._inside, ignore_errors=True)
