"""Rendered maps as pictures with labels, large enough to read."""

from collections.abc import Mapping

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media import colour_maps, image_grid
from lokitalk_jax.model.rendering import Rendered

# Top of the colour scales: an offset in metres, an error in [0, 1].
_OFFSET, _ERROR = 0.04, 0.25

MAPS = ("depth", "regions", "offset")

_LEAST_SIDE = 160  # pixels; narrower pictures have no room for a label


def maps(rendered: Rendered, depth_range: tuple[float, float]) -> dict[str, np.ndarray]:
    """Depth, regions and deformation of a frame.

    Args:
      rendered: maps [H, W, ...] on the host.
      depth_range: the scale of depth, metres.

    Returns:
      label to uint8 [H, W, 3]. The deformation is the sum of the regions' offsets.
    """
    labels = {"offset": f"offset, 0 to {100 * _OFFSET:.0f} cm"}
    return {
        labels.get(name, name): coloured(name, rendered, depth_range) for name in MAPS
    }


def coloured(
    name: str, rendered: Rendered, depth_range: tuple[float, float]
) -> np.ndarray:
    """One of `MAPS` in colours, uint8 [H, W, 3]; see `maps`."""
    if name == "depth":
        depth = rendered.depth * structs.UNIT
        return colour_maps.colour_depth(depth, rendered.alpha, *depth_range)
    if name == "regions":
        return colour_maps.colour_regions(rendered.regions)
    offsets = np.sum(rendered.deformation, axis=-1) * structs.UNIT
    return colour_maps.colour_magnitude(offsets, _OFFSET)


def comparison(truth: np.ndarray, prediction: np.ndarray) -> dict[str, np.ndarray]:
    """Truth, render and their mean absolute difference over the channels.

    Args:
      truth: [H, W, 3] in [0, 1].
      prediction: [H, W, 3] in [0, 1].

    Returns:
      label to uint8 [H, W, 3].
    """
    error = np.abs(prediction - truth).mean(axis=-1)
    return {
        "truth": image_grid.to_uint8(truth),
        "render": image_grid.to_uint8(prediction),
        f"error, 0 to {_ERROR}": colour_maps.colour_magnitude(error, _ERROR),
    }


def row(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pictures uint8 [H, W, 3] in a row under their labels, enlarged: [H', W', 3]."""
    return image_grid.side_by_side({k: enlarged(v) for k, v in pictures.items()})


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Repeats the pixels of a small picture until a label fits above it.

    Args:
      picture: uint8 [H, W, 3].

    Returns:
      uint8 [k H, k W, 3].
    """
    times = -(-_LEAST_SIDE // min(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)
