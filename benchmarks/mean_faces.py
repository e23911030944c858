"""Mean faces of people, turned to the front, by which rendered faces are identified."""

from collections.abc import Mapping

import numpy as np

from lokitalk_jax.data import references
from lokitalk_jax.data.dataset import Dataset

# Part of a face that is compared: a square from the brows to the chin, metres.
_FACE = references.ReferenceSpec(count=0, size=48, square=(-0.07, -0.06, 0.14))
_AVERAGED = 8  # training frames of a mean face


def face(
    data: Dataset, rgb: np.ndarray, mask: np.ndarray, pose: np.ndarray
) -> np.ndarray:
    """The face of a true or rendered frame, float32 [E, E, 4]: colour and mask.

    Args:
      data: the clip whose camera sees it.
      rgb: float32 [H, W, 3] in [0, 1].
      mask: float32 [H, W] in [0, 1], of the person.
      pose: [4, 4], head to camera, metres.
    """
    intrinsics = data.camera.intrinsics
    return references.project(rgb, mask, intrinsics, pose.astype(np.float64), _FACE)


def mean_face(data: Dataset) -> np.ndarray:
    """The mean of some training frames, [E, E, 4]."""
    poses = data.tracks.head_to_camera
    some = references.spread(data.train_frames, _AVERAGED)
    faces = [face(data, *data.frame(i)[:2], poses[i]) for i in some]
    return np.mean(faces, axis=0)


def nearest(one: np.ndarray, mean_faces: Mapping[str, np.ndarray]) -> str:
    """The identity whose mean face [E, E, 4] is nearest in colour to a face."""

    def distance(other: np.ndarray) -> float:
        both = (one[..., 3] > 0.5) & (other[..., 3] > 0.5)
        if not both.any():
            return np.inf
        return float(np.mean((one[both] - other[both])[:, :3] ** 2))

    return min(mean_faces, key=lambda name: distance(mean_faces[name]))
