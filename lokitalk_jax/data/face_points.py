"""Landmarks as points of the head frame: the same material in every frame."""

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import face_geometry
from lokitalk_jax.data.dataset import Dataset

# The mesh of the face; the irises after it turn with the gaze.
COUNT = 468


def check_count(landmarks: int) -> None:
    """Refuses a number of landmarks that a face does not have.

    Raises:
      ValueError: it is negative or too large.
    """
    if not 0 <= landmarks <= COUNT:
        raise ValueError(
            f"data.landmarks={landmarks}, but a face has {COUNT} landmarks; set it to "
            "at most that"
        )


def face_points(data: Dataset) -> np.ndarray:
    """Landmarks of a clip in the tracked head frame, units of `structs.UNIT`.

    Returns:
      float32 [F, 468, 3]; zero at frames without a face.
    """
    tracks, (focal, x, y) = data.tracks, data.camera.intrinsics.tolist()
    points = np.zeros((len(tracks.valid), COUNT, 3), np.float32)
    points[tracks.valid] = face_geometry.points_in_head_frame(
        tracks.landmarks[tracks.valid],
        tracks.head_to_camera[tracks.valid],
        focal,
        (x, y),
        range(COUNT),
    )
    return points / np.float32(structs.UNIT)
