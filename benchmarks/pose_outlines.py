"""Distance of two poses, in the image."""

import numpy as np

from lokitalk_jax.data.dataset import Dataset

# Corners of a box around the face in the head frame, metres.
_CORNERS = np.stack(
    np.meshgrid((-0.08, 0.08), (-0.12, 0.10), (-0.05, 0.08), indexing="ij"), -1
).reshape(8, 3)


def outlines(data: Dataset, frames: np.ndarray) -> np.ndarray:
    """Places of the corners of a box around the face in some frames of a clip.

    Returns:
      [F, 8, 2], x and y in image heights.
    """
    poses = data.tracks.head_to_camera[frames].astype(np.float64)
    seen = np.einsum("fij,kj->fki", poses[:, :3, :3], _CORNERS) + poses[:, None, :3, 3]
    focal, *principal = data.camera.intrinsics.astype(np.float64)
    return (focal * seen[..., :2] / seen[..., 2:] + principal) / data.camera.height


def distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square distance of the corners of one outline [8, 2] to others, [F]."""
    return np.sqrt(np.square(others - one).sum(-1).mean(-1))
