"""Finds the faces of a frame, in parts of the frame too where they are small."""

import av
import numpy as np

from lokitalk_jax.preparation import source_video
from lokitalk_jax.preparation.faces import Detect

_SIZE = 1024  # longest side of the copy that is searched, pixels


def find(
    clip: source_video.Clip, frame: av.VideoFrame, detect: Detect, in_parts: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Finds faces.

    Args:
      clip: the video.
      frame: one of its frames.
      detect: from RGB uint8 to the landmarks of each face, largest first.
      in_parts: searches parts of the frame where the whole shows no face, which finds
        faces down to a tenth of the frame's height instead of a fifth.

    Returns:
      Boxes float32 [K, 4], left, top, right and bottom in pixels of the upright frame,
      largest first; and the upright frame, made smaller, uint8 [H, W, 3].
    """
    rgb = source_video.upright(clip, frame, _SIZE)
    found = _boxes(rgb, detect, 0, 0)
    if in_parts and not found:
        found = _boxes_in_tiles(rgb, detect)
    scale = [clip.width / rgb.shape[1], clip.height / rgb.shape[0]]
    boxes = np.array(found, np.float32).reshape(-1, 4) * np.array(scale * 2, np.float32)
    return boxes, rgb


def _boxes(rgb: np.ndarray, detect: Detect, left: int, top: int) -> list[np.ndarray]:
    """Boxes of the faces in a part of a frame that begins at (left, top)."""
    shift = np.array([left, top], np.float32)
    return [
        np.concatenate([face[:, :2].min(0) + shift, face[:, :2].max(0) + shift])
        for face in detect(np.ascontiguousarray(rgb))
    ]


def _boxes_in_tiles(rgb: np.ndarray, detect: Detect) -> list[np.ndarray]:
    """Faces in squares half as large as the frame, which overlap by half."""
    side = min(rgb.shape[:2]) // 2
    found = []
    for top in _tile_starts(rgb.shape[0], side):
        for left in _tile_starts(rgb.shape[1], side):
            tile = rgb[top : top + side, left : left + side]
            found += _boxes(tile, detect, left, top)
    distinct = []
    for box in sorted(found, key=lambda box: box[0] - box[2]):
        centre = (box[:2] + box[2:]) / 2
        if not any((b[:2] < centre).all() and (centre < b[2:]).all() for b in distinct):
            distinct.append(box)
    return distinct


def _tile_starts(room: int, side: int) -> np.ndarray:
    count = 1 + int(np.ceil((room - side) / (side / 2)))
    return np.linspace(0, room - side, count).astype(int)
