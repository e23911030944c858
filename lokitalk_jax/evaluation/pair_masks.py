"""Region masks of any video's frames: from landmarks, and from label images."""

import os
import pathlib
from collections.abc import Callable

import numpy as np

from lokitalk_jax.data import label_images, layout, regions
from lokitalk_jax.media import frame_source

_WHOLE = 255  # a person mask that covers the frame


def label_files(
    path: str | os.PathLike | None, count: int, cut: tuple[int, int] = (0, 0)
) -> list[pathlib.Path] | list[None]:
    """The label image of each frame; None without labels.

    Args:
      path: the folder.
      count: number of frames.
      cut: frames of the truth before and after them; they have labels too.

    Raises:
      ValueError: the folder does not hold one for each frame of the truth.
    """
    if path is None:
        return [None] * count
    source = pathlib.Path(path)
    if not source.is_dir():
        raise ValueError(
            f"labels={source} is no folder; give an identity folder, or one of label "
            "images or parsing maps"
        )
    if layout.is_identity(source):
        source = source / layout.LABELS
    found = frame_source.open_source(source).pictures
    whole = cut[0] + count + cut[1]
    if found is None or len(found) != whole:
        raise ValueError(
            f"labels={source} holds {len(found or ())} label images, the videos "
            f"{whole} frames; give one for each frame of the truth"
        )
    return list(found[cut[0] : cut[0] + count])


def region_masks(
    path: pathlib.Path | None, height: int, width: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes region masks from a face's landmarks, see `ClipScores.add`.

    Args:
      path: the frame's label image, or None.
      height, width: of the frame, pixels.

    Returns:
      from landmarks [478, 3] to masks float32 [H, W, 4].

    Raises:
      ValueError: the label image is damaged, or of another size.
    """

    def masks(face: np.ndarray) -> np.ndarray:
        valid = np.isfinite(face).all()
        shapes = regions.fit_shapes(face[None], np.array([valid]))
        row, column = np.mgrid[:height, :width]
        pixels = np.stack([column, row], -1).reshape(-1, 2).astype(np.float32) + 0.5
        inner = regions.ellipses(shapes, np.array(0), pixels).reshape(height, width, 2)
        return np.concatenate([inner, body], -1).astype(np.float32)

    body = np.zeros((height, width, 2), np.float32)
    if path is not None:
        labels = label_images.read(path)
        if labels.shape != (height, width):
            raise ValueError(
                f"{path} is {labels.shape[1]}x{labels.shape[0]} pixels, the frames "
                f"{width}x{height}; scale labels without blending colours"
            )
        shares = [labels == layout.HEAD, labels == layout.TORSO]
        everywhere = np.full((height, width), _WHOLE, np.uint8)
        body = regions.soften(np.stack(shares, -1).astype(np.float32), everywhere) / 255
    return masks
