"""Label images of our own and of other programs."""

import pathlib

import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.media import image_file

# RGB of face-parsing maps (AD-NeRF and all that prepare data as it does); grey and
# black lie inside the head in TalkingGaussian's.
_COLOURS = {
    (255, 255, 255): layout.BACKGROUND,
    (255, 0, 0): layout.TORSO,
    (0, 255, 0): layout.TORSO,  # neck
    (0, 0, 255): layout.HEAD,
    (100, 100, 100): layout.HEAD,
    (0, 0, 0): layout.HEAD,
}


def read(path: pathlib.Path) -> np.ndarray:
    """Labels of a picture.

    Args:
      path: a grey picture of our labels, or a parsing map in colours.

    Returns:
      uint8 [H, W], see `layout`.

    Raises:
      ValueError: it is no picture, or holds other values.
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
