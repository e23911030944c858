"""Image files, PNG and JPEG, in the order RGB.

Files are read and written by Python and only decoded by OpenCV, whose file names are
ASCII on Windows.
"""

import os
import pathlib

import cv2
import numpy as np

from lokitalk_jax import files


def read_rgb(path: str | os.PathLike) -> np.ndarray:
    """An image as uint8 RGB [H, W, 3]; alpha is dropped.

    Raises:
      ValueError: the file is missing or not an image. The functions below raise
        it too.
    """
    return _read(path, cv2.IMREAD_COLOR)


def read_grey(path: str | os.PathLike) -> np.ndarray:
    """An image as uint8 [H, W]."""
    return _read(path, cv2.IMREAD_GRAYSCALE)


def read_stored(path: str | os.PathLike) -> np.ndarray:
    """An image with the channels that it has: [H, W], RGB or RGBA."""
    return _read(path, cv2.IMREAD_UNCHANGED)


def decode(data: bytes, flags: int = cv2.IMREAD_UNCHANGED) -> np.ndarray | None:
    """The image [H, W] or [H, W, C] in the bytes of a file, or None.

    Args:
      data: contents of the file.
      flags: OpenCV's; by default the channels stay as they are stored.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    return image if image is None or image.ndim == 2 else _swapped(image)


def write(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes uint8 [H, W], RGB [H, W, 3] or RGBA [H, W, 4], by the name's suffix.

    JPEG is written at quality 97 without chroma subsampling.

    Raises:
      OSError: the image could not be written (the disk is full, say).
    """
    path = pathlib.Path(path)
    options = []
    if path.suffix == ".jpg":
        options = [cv2.IMWRITE_JPEG_QUALITY, 97]
        options += [
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
    stored = image if image.ndim == 2 else _swapped(image)
    done, data = cv2.imencode(path.suffix, stored, options)
    if not done:
        raise OSError(f"could not encode {path}")
    with files.replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _read(path: str | os.PathLike, flags: int) -> np.ndarray:
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is missing; write it again")
    image = decode(path.read_bytes(), flags)
    if image is None:
        raise ValueError(f"{path} is not an image; write it again")
    return image


def _swapped(image: np.ndarray) -> np.ndarray:
    """Swaps red and blue."""
    code = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return cv2.cvtColor(np.ascontiguousarray(image), code)
