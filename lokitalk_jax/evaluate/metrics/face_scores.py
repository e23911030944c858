"""What landmarks tell of each rendered face beside the true one.

Arrays hold F frames; landmarks are [F, 478, 3] in pixels, NaN where no face was found.
"""

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import face_geometry
from lokitalk_jax.evaluate.metrics.frame_scores import Row

MOUTH = face_mesh.MESH_TO_68[48:68]
_CHEEKS = (234, 454)  # the outer ends of the face oval

# Points that neither speech nor lids nor brows move, by which a face is told.
_SHAPE = sorted({*face_mesh.RIGID, *face_mesh.FACE_OVAL[:6], *face_mesh.FACE_OVAL[-6:]})


def mouth_distance(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mouth landmark distance (LMD): does the rendered mouth take the true shape.

    As in ER-NeRF and InsTaG: the 20 mouth points of the 68-point face, each set moved
    to its own mean, and the mean distance in pixels of the frame. A distance in pixels
    grows with the frame, so it compares at one size only. Their points come from
    another detector (FAN); these are the nearest points of MediaPipe's face mesh.

    Returns:
      [F], pixels.
    """
    a, b = (np.float64(x)[:, list(MOUTH), :2] for x in (truth, prediction))
    apart = (a - a.mean(1, keepdims=True)) - (b - b.mean(1, keepdims=True))
    return np.linalg.norm(apart, axis=-1).mean(axis=-1)


def face_widths(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the ends of the face oval, [F], pixels; narrows as it turns."""
    left, right = (landmarks[:, i, :2] for i in _CHEEKS)
    return np.linalg.norm(np.float64(left) - right, axis=-1)


def mouth_openings(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the inner lips at their middle, [F], in face widths."""
    upper, lower = (landmarks[:, i, :2] for i in (13, 14))
    apart = np.linalg.norm(np.float64(upper) - lower, axis=-1)
    return apart / face_widths(landmarks)


def jitter(landmarks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """How unsteady a head is: the second difference of its rigid landmarks.

    Args:
      landmarks: [F, 478, 3].
      frames: [F], numbers of the frames; only direct neighbours are compared.

    Returns:
      [F], mean length, pixels; NaN for frames without a neighbour on either side.
    """
    points = np.float64(landmarks)[:, list(face_mesh.RIGID), :2]
    found = np.full(len(points), np.nan)
    if len(points) < 3:
        return found
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    near = (np.diff(frames)[1:] == 1) & (np.diff(frames)[:-1] == 1)
    found[1:-1] = np.where(near, np.linalg.norm(second, axis=-1).mean(axis=-1), np.nan)
    return found


def shape_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Whether it is the same face: the shape of its rigid parts, without its pose.

    The three-dimensional landmarks of each rendered face are turned, scaled and moved
    onto the true ones (Umeyama 1991), and what is left is the error.

    Returns:
      [F], root mean square distance, in widths of the true face.
    """
    found = np.full(len(truth), np.nan)
    whole = np.isfinite(truth).all((1, 2)) & np.isfinite(prediction).all((1, 2))
    a, b = (np.float64(x)[whole][:, _SHAPE] for x in (truth, prediction))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    u, sizes, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    # A face does not become its mirror image.
    sign = np.ones_like(sizes)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    scale = (sizes * sign).sum(-1) / (b**2).sum((1, 2))
    left = a - scale[:, None, None] * b @ turn
    error = np.sqrt((left**2).sum(-1).mean(-1))
    found[whole] = error / face_widths(truth[whole])
    return found


def expression_error(
    truth: np.ndarray, prediction: np.ndarray, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Errors of blendshapes, as papers score OpenFace's action units (AUE).

    Args:
      truth: [F, 52], scores in [0, 1] of MediaPipe's blendshapes; NaN where unknown.
      prediction: [F, 52].
      names: of the blendshapes.

    Returns:
      "upper" (brows, lids) and "lower" (jaw, mouth, cheeks), each [F]: the squared
      differences, summed.
    """
    squared = (np.float64(truth) - prediction) ** 2
    lower = np.array([name.startswith(("jaw", "mouth", "cheekPuff")) for name in names])
    upper = np.array(
        [name.startswith(("brow", "eye", "cheekSquint")) for name in names]
    )
    # Where the eyes look is not what a lid does.
    upper &= [not name.startswith("eyeLook") for name in names]
    return {
        "upper": squared[:, upper].sum(-1),
        "lower": squared[:, lower].sum(-1),
    }


def rows(
    truth: np.ndarray,
    prediction: np.ndarray,
    frames: np.ndarray,
    expressions: tuple[np.ndarray, np.ndarray, tuple[str, ...]] | None = None,
) -> list[Row]:
    """The scores of each frame; None where they do not exist.

    Args:
      truth: [F, 478, 3].
      prediction: [F, 478, 3].
      frames: [F], their numbers.
      expressions: truth, prediction and names for `expression_error`.

    Returns:
      of each frame "lmd_px", "lmd_face", "eye_ratio_error", "jitter_px",
      "jitter_truth_px", "shape_error", "blendshapes_upper" and "blendshapes_lower".
    """
    distance = mouth_distance(truth, prediction)
    eyes = np.abs(
        face_geometry.eye_ratios(truth) - face_geometry.eye_ratios(prediction)
    ).mean(-1)
    unknown = np.full(len(truth), np.nan)
    parts = expression_error(*expressions) if expressions else {}
    columns = {
        "lmd_px": distance,
        "lmd_face": distance / face_widths(truth),
        "eye_ratio_error": eyes,
        "jitter_px": jitter(prediction, frames),
        "jitter_truth_px": jitter(truth, frames),
        "shape_error": shape_error(truth, prediction),
        "blendshapes_upper": parts.get("upper", unknown),
        "blendshapes_lower": parts.get("lower", unknown),
    }
    return [
        {k: float(v[i]) if np.isfinite(v[i]) else None for k, v in columns.items()}
        for i in range(len(truth))
    ]
