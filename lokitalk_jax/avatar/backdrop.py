"""Backgrounds of rendered frames."""

import os
import pathlib
import re

import cv2
import numpy as np

from lokitalk_jax.data.clip_records import ClipRecord

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
        the frame and cropped.
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
    image = cv2.imread(text) if pathlib.Path(text).is_file() else None
    if image is None:
        raise ValueError(
            f"background={text} is neither plate, none, a colour (#rrggbb, "
            f"{', '.join(_COLOURS)}) nor an image file"
        )
    return _cover(image[..., ::-1], shape).astype(np.float32) / 255


def _cover(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scales an image until it covers `shape`, and crops it to its middle."""
    scale = max(np.divide(shape, image.shape[:2]))
    size = np.maximum(np.rint(np.multiply(image.shape[:2], scale)).astype(int), shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(image, size[::-1].tolist(), interpolation=method)
    top, left = (size - shape) // 2
    return image[top : top + shape[0], left : left + shape[1]]
