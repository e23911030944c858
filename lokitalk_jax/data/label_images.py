"""Label images, ours and those of other programs."""

import os

import numpy as np

from lokitalk_jax.data import layout, peer_layout
from lokitalk_jax.media import image_file

_COLOURS = peer_layout.PARSING | peer_layout.MOUTH_PARSING


def read(path: str | os.PathLike) -> np.ndarray:
    """Labels of an image.

    Args:
      path: a grey image of our labels, or a parsing map in colours.

    Returns:
      uint8 [H, W], values of `layout.LABEL_VALUES`.

    Raises:
      ValueError: the file is missing or not an image, or has other values.
    """
    image = image_file.read_stored(path)
    if image.ndim == 2:
        if image.max() > layout.HEAD:
            raise ValueError(
                f"{path} holds the value {image.max()}; labels are 0 background, 1 "
                "torso, 2 head"
            )
        return image
    rgb = image[..., :3].astype(np.int32)
    packed = rgb @ np.array([1 << 16, 1 << 8, 1])
    labels = np.full(packed.shape, 255, np.uint8)
    for (red, green, blue), label in _COLOURS.items():
        labels[packed == (red << 16 | green << 8 | blue)] = label
    unknown = labels == 255
    if unknown.any():
        colour = tuple(int(x) for x in rgb[unknown][0])
        raise ValueError(
            f"{path} has pixels of the colour {colour}, which is no class of a parsing "
            "map (head blue, neck green, torso red, background white); was it resized "
            "or saved as JPEG?"
        )
    return labels
