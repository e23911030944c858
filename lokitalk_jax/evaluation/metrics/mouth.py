"""Scores of the mouth's shape, from face landmarks.

Landmarks are [F, 478, 3] for F frames, in pixels; NaN in frames without a face.
"""

import numpy as np

from lokitalk_jax import face_mesh

# The 20 mouth points of the 68-point face.
POINTS = face_mesh.MESH_TO_68[48:68]
_CHEEKS = (234, 454)  # the outer ends of the face oval
_INNER_LIPS = (13, 14)  # their middle, upper and lower


def landmark_distance(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mouth landmark distance (LMD), as in ER-NeRF and InsTaG.

    The mouth points of each face are centred on their mean; the distance is averaged
    over the points. It is in pixels of the frame, so it compares at one frame size
    only. The published LMD uses the points of the FAN detector; these are the nearest
    points of MediaPipe's face mesh.

    Args:
      truth: landmarks [F, 478, 3].
      prediction: landmarks [F, 478, 3].

    Returns:
      [F], pixels.
    """
    points = list(POINTS)
    return centred_distance(truth[:, points, :2], prediction[:, points, :2])


def centred_distance(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mean distance [...] of points [..., P, 2], each set centred on its mean."""
    a, b = (x - x.mean(-2, keepdims=True) for x in map(np.float64, (truth, prediction)))
    return np.linalg.norm(a - b, axis=-1).mean(axis=-1)


def openings(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the middles of the inner lips, [F], in face widths."""
    upper, lower = (landmarks[:, i, :2] for i in _INNER_LIPS)
    apart = np.linalg.norm(np.float64(upper) - lower, axis=-1)
    return apart / face_widths(landmarks)


def face_widths(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the ends of the face oval, [F], pixels.

    It shrinks as the head turns aside.
    """
    left, right = (landmarks[:, i, :2] for i in _CHEEKS)
    return np.linalg.norm(np.float64(left) - right, axis=-1)
