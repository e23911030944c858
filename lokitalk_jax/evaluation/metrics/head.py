"""Scores of the head's steadiness and shape, from its rigid landmarks.

Landmarks are [F, 478, 3] for F frames, in pixels; NaN in frames without a face.
"""

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluation.metrics import mouth

# Points that speech, lids and brows do not move.
_SHAPE = sorted({*face_mesh.RIGID, *face_mesh.FACE_OVAL[:6], *face_mesh.FACE_OVAL[-6:]})


def jitter(landmarks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Second difference in time of the rigid landmarks: how unsteady the head is.

    Args:
      landmarks: [F, 478, 3].
      frames: [F], frame numbers; only consecutive frames are compared.

    Returns:
      [F], mean length, pixels; NaN if the frame before or after is missing.
    """
    points = landmarks[:, list(face_mesh.RIGID), :2].astype(np.float64)
    found = np.full(len(points), np.nan)
    if len(points) < 3:
        return found
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    near = (np.diff(frames)[1:] == 1) & (np.diff(frames)[:-1] == 1)
    found[1:-1] = np.where(near, np.linalg.norm(second, axis=-1).mean(axis=-1), np.nan)
    return found


def shape_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Difference of the faces' rigid shapes, without pose and size.

    Each rendered face's landmarks are aligned in 3D to the true ones by rotation, scale
    and translation (Umeyama 1991); the error is the remaining distance.

    Args:
      truth: landmarks [F, 478, 3].
      prediction: landmarks [F, 478, 3].

    Returns:
      [F], root mean square distance, in widths of the true face.
    """
    found = np.full(len(truth), np.nan)
    whole = np.isfinite(truth).all((1, 2)) & np.isfinite(prediction).all((1, 2))
    a, b = (x[whole][:, _SHAPE].astype(np.float64) for x in (truth, prediction))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    u, sizes, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    # A rotation, not a reflection.
    sign = np.ones_like(sizes)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    scale = (sizes * sign).sum(-1) / (b**2).sum((1, 2))
    left = a - scale[:, None, None] * b @ turn
    error = np.sqrt((left**2).sum(-1).mean(-1))
    found[whole] = error / mouth.face_widths(truth[whole])
    return found
