"""Backgrounds of rendered frames."""

import os
import pathlib
import re

import cv2
import numpy as np

from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.media import image_file

_COLOURS = {
    "black": "000000",
    "white": "ffffff",
    "grey": "808080",
    "gray": "808080",
    "red": "ff0000",
    "green": "00ff00",
    "blue": "0000ff",
}


def find(text: str | os.PathLike, record: ClipRecord) -> np.ndarray | None:
    """A background from its description.

    Args:
      text: "plate", the background of the clip; "none", transparency; a colour, as
        #rrggbb or one of a few names; or the path of an image, which is scaled to cover
        the frame and cropped; the plate shows through where it is transparent.
      record: of the clip; sets the size.

    Returns:
      float32 [H, W, 3] in [0, 1]; None for transparency.

    Raises:
      ValueError: `text` is none of these.
    """
    text, shape = os.fspath(text), record.camera.shape
    if text == "none":
        return None
    if text == "plate":
        return record.plate.astype(np.float32) / 255
    hexadecimal = _COLOURS.get(text.lower(), text.removeprefix("#"))
    if re.fullmatch("[0-9a-fA-F]{6}", hexadecimal):
        colour = np.frombuffer(bytes.fromhex(hexadecimal), np.uint8)
        return np.broadcast_to(np.float32(colour) / 255, (*shape, 3))
    path = pathlib.Path(text)
    data = path.read_bytes() if path.is_file() else b""
    image = image_file.decode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(
            f"background={text} is neither plate, none, a colour (#rrggbb, "
            f"{', '.join(_COLOURS)}) nor an image file"
        )
    stored = image_file.decode(data)
    if stored is None or stored.shape[-1] != 4:
        return _cover(image, shape).astype(np.float32) / 255
    return _over_plate(stored, record.plate.astype(np.float32) / 255)


def _over_plate(image: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """An image with alpha, in front of the clip's own background."""
    image = image.astype(np.float32) / np.iinfo(image.dtype).max
    # Scaled with their alpha, so that hidden colours do not leak over edges.
    image[..., :3] *= image[..., 3:]
    scaled = np.clip(_cover(image, plate.shape[:2]), 0, 1)
    return np.minimum(scaled[..., :3] + (1 - scaled[..., 3:]) * plate, 1)


def _cover(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scales an image until it covers `shape`, and crops it to its middle."""
    scale = max(np.divide(shape, image.shape[:2]))
    size = np.maximum(np.rint(np.multiply(image.shape[:2], scale)).astype(int), shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(image, size[::-1].tolist(), interpolation=method)
    top, left = (size - shape) // 2
    return image[top : top + shape[0], left : left + shape[1]]
