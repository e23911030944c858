"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

import cv2
import numpy as np


@contextlib.contextmanager
def replacing(path: os.PathLike | str) -> Iterator[pathlib.Path]:
    """Yields a temporary name beside `path` that replaces it if the block succeeds."""
    path = pathlib.Path(path)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    os.chmod(name, 0o666 & ~_umask())
    try:
        yield pathlib.Path(name)
        os.replace(name, path)
    finally:
        pathlib.Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_image(path: os.PathLike | str, image: np.ndarray) -> None:
    """Writes uint8 [H, W], RGB [H, W, 3] or RGBA [H, W, 4], by the name's suffix.

    JPEG is written at quality 97 without chroma subsampling.

    Raises:
      OSError: the image could not be written (the disk is full, say).
    """
    path = pathlib.Path(path)
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[-1]]]
    options = []
    if path.suffix == ".jpg":
        options = [cv2.IMWRITE_JPEG_QUALITY, 97]
        options += [
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
    ok, data = cv2.imencode(path.suffix, image, options)
    if not ok:
        raise OSError(f"could not encode {path}")
    with replacing(path) as temporary:
        temporary.write_bytes(data)
