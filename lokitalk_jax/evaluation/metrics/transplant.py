"""Landmarks of a face with the lips of another moment of its clip."""

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluation.metrics import mouth

_RIGID, _LIPS = list(face_mesh.RIGID), list(face_mesh.LIPS)


def with_lips_of(landmarks: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Faces whose lips are those of other frames, moved with the head.

    Args:
      landmarks: [F, 478, 3], pixels; NaN in frames without a face.
      sources: int [F], the frame that each frame's lips are taken from.

    Returns:
      [F, 478, 3]; NaN where either frame has no face.
    """
    found = np.array(landmarks, np.float64)
    for frame, source in enumerate(sources):
        one, other = landmarks[[source, frame]][..., :2].astype(np.float64)
        if not np.isfinite([one, other]).all():
            found[frame] = np.nan
            continue
        # The affine map of the rigid landmarks follows small turns of the head.
        design = np.column_stack([one[_RIGID], np.ones(len(_RIGID))])
        move = np.linalg.lstsq(design, other[_RIGID], rcond=None)[0]
        lips = np.column_stack([one[_LIPS], np.ones(len(_LIPS))])
        found[frame, _LIPS, :2] = lips @ move
    return found


def still_mouth(landmarks: np.ndarray) -> np.ndarray:
    """Faces [F, 478, 3] whose lips rest at the clip's median opening."""
    openings = mouth.openings(landmarks)
    if not np.isfinite(openings).any():
        return landmarks
    source = int(np.nanargmin(np.abs(openings - np.nanmedian(openings))))
    return with_lips_of(landmarks, np.full(len(landmarks), source))


def other_lips(landmarks: np.ndarray) -> np.ndarray:
    """Faces [F, 478, 3] whose lips are those of half a clip later."""
    count = len(landmarks)
    return with_lips_of(landmarks, np.roll(np.arange(count), -(count // 2)))
