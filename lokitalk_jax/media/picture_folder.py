"""Rendered frames as numbered PNG files, for programs that edit pictures."""

import pathlib
import tempfile
import zlib

import cv2
import numpy as np

from lokitalk_jax.media import video_io

_HEADER = 33  # bytes of a PNG file's signature and first chunk
_KEYWORD = b"Comment"


class PictureWriter:
    """Writes frames as they come; the folder appears, whole, when the block ends.

    Used as `with PictureWriter(path) as pictures: pictures.write(rgb)`. Files are
    000000.png and so on. Each is marked as synthetic media.
    """

    def __init__(self, path: pathlib.Path):
        """Checks the place; nothing is written before the `with` block starts.

        Raises:
          ValueError: something is there already, or the folder above is missing.
        """
        self.path = pathlib.Path(path)
        if self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
            raise ValueError(
                f"{self.path} is there already; name a new folder for the pictures, or "
                "a file that ends in .mp4 for a video"
            )
        if not self.path.absolute().parent.is_dir():
            raise ValueError(f"no folder {self.path.parent}; make it first")
        self.frame_count = 0

    def __enter__(self) -> "PictureWriter":
        parent = self.path.absolute().parent
        self._scratch = tempfile.TemporaryDirectory(
            prefix=f".{self.path.name}-", dir=parent
        )
        self._inside = pathlib.Path(self._scratch.name) / "pictures"
        self._inside.mkdir()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame, uint8 RGB [H, W, 3] or RGBA [H, W, 4].

        Raises:
          OSError: it could not be written (the disk is full, say).
        """
        order = [2, 1, 0, 3][: frame.shape[-1]]
        done, data = cv2.imencode(".png", frame[..., order])
        if not done:
            raise OSError(f"could not encode frame {self.frame_count} of {self.path}")
        marked = _with_note(data.tobytes(), video_io.SYNTHETIC_NOTE)
        (self._inside / f"{self.frame_count:06d}.png").write_bytes(marked)
        self.frame_count += 1

    def __exit__(self, kind, error, traceback) -> None:
        with self._scratch:
            if kind is None:
                self._inside.replace(self.path)


def _with_note(png: bytes, text: str) -> bytes:
    """A PNG file with a text chunk (PNG specification, 11.3.3.2) after its header."""
    body = b"tEXt" + _KEYWORD + b"\0" + text.encode("latin-1")
    length, check = len(body) - 4, zlib.crc32(body)
    chunk = length.to_bytes(4, "big") + body + check.to_bytes(4, "big")
    return png[:_HEADER] + chunk + png[_HEADER:]
