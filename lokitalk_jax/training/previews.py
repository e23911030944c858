"""Strips of pictures to judge training by: truth, render, regions, depth."""

import pathlib

import jax
import numpy as np

from lokitalk_jax import files
from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_grid


def strip(renderer: FrameRenderer, record: ClipRecord, data: Dataset) -> np.ndarray:
    """[truth | render | region maps | depth] of the middle held-out frame.

    Returns:
      uint8 [H, 4 W, 3].
    """
    held_out = record.test_frames
    pool = held_out if len(held_out) else record.train_frames
    index = int(pool[len(pool) // 2])
    rendered = renderer(
        record.head_to_camera[index],
        jax.tree.map(lambda x: x[index], record.signals),
        record.plate.astype(np.float32) / 255,
    )
    rendered = jax.device_get(rendered)
    seen = rendered.alpha > 0.5
    depth = rendered.depth
    nearest, farthest = (
        (float(depth[seen].min()), float(depth[seen].max())) if seen.any() else (0, 1)
    )
    return np.concatenate(
        [
            np.asarray(data.frames[index]),
            image_grid.to_uint8(np.clip(rendered.rgb, 0, 1)),
            image_grid.colour_regions(np.clip(rendered.regions, 0, 1)),
            image_grid.colour_depth(depth, rendered.alpha, nearest, farthest + 1e-3),
        ],
        axis=1,
    )


def save(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes a picture, and the folder it goes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_image(path, picture)
