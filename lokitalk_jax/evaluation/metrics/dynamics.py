"""Range and speed of the motion of lips, head and brows, compared with the truth.

Landmarks are [F, 478, 3] for F frames, in pixels; NaN in frames without a face. No
frame is compared with the true frame of its moment, so a head that moves otherwise but
as much scores well.
"""

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluation.metrics import mouth, time_series
from lokitalk_jax.evaluation.metrics.bootstrap import Statistic

_BROWS = face_mesh.MESH_TO_68[17:27]
_EYE_CORNERS = (33, 133, 362, 263)
# Moving averages, in frames, between which the bands of speed lie: at 25 frames a
# second about 4, 2 and 0.8 changes a second.
_WIDTHS = (3, 7, 15)
_WOBBLE = 9  # frames; slower motion of the head is no wobble


def head_path(landmarks: np.ndarray) -> np.ndarray:
    """Place, size and turn of the head, in widths of the face.

    The rigid landmarks of each frame are an affine map of their mean shape; its
    coefficients are multiplied by the size of that shape, so that each is about the
    distance by which it moves the landmarks.

    Returns:
      [F, 6]; NaN in frames without a face.
    """
    points = landmarks[:, list(face_mesh.RIGID), :2].astype(np.float64)
    seen = np.isfinite(points).all((1, 2))
    if not seen.any():
        return np.full((len(points), 6), np.nan)
    shape = points[seen].mean(0)
    shape = shape - shape.mean(0)
    design = np.column_stack([np.ones(len(shape)), shape])
    found = np.einsum("kp,fpc->fkc", np.linalg.pinv(design), points)
    lengths = np.array([1, *shape.std(0)])
    width = np.nanmedian(mouth.face_widths(landmarks))
    return (found * lengths[:, None]).reshape(-1, 6) / width


def brow_heights(landmarks: np.ndarray) -> np.ndarray:
    """Mean distance of the brows from the line of the eyes, face widths, [F]."""
    points = landmarks[..., :2].astype(np.float64)
    corners = points[:, _EYE_CORNERS]
    along = corners[:, 3] - corners[:, 0]
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    apart = points[:, list(_BROWS)].mean(1) - corners.mean(1)
    across = apart[:, 0] * along[:, 1] - apart[:, 1] * along[:, 0]
    return across / mouth.face_widths(landmarks)


def speed_difference(truth: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Difference of the spectra of speed: 0 for equal ones, 1 for disjoint ones.

    Ours; THEval (2025) compares the dynamics of lips, head and brows too.

    Half the summed differences of the shares that four bands of frequency have in the
    energy of the motion's speed.

    Args:
      truth, prediction: [F] or [F, D], any unit; NaN in frames without a face.
    """
    bands = [_band_energies(x.reshape(len(x), -1)) for x in (truth, prediction)]

    def of(sums: np.ndarray) -> np.ndarray:
        one, other = np.split(sums, 2, axis=-1)
        shares = [x / x.sum(-1, keepdims=True) for x in (one, other)]
        return np.abs(shares[0] - shares[1]).sum(-1) / 2

    return Statistic(np.concatenate(bands, -1), of)


def wobble(path: np.ndarray) -> Statistic:
    """Root mean square of the fast motion of the head, thousandths of a face width.

    Ours; GaussianHeadTalk (2026) scores the head's steadiness as well.

    Args:
      path: [F, 6], see `head_path`.
    """
    seen = np.isfinite(path).all(-1)
    quick = time_series.fast(time_series.filled(path), _WOBBLE)
    squared = np.where(seen, (quick**2).sum(-1), 0)
    terms = np.stack([squared, seen], -1)
    return Statistic(terms, lambda sums: 1000 * np.sqrt(sums[..., 0] / sums[..., 1]))


def _band_energies(values: np.ndarray) -> np.ndarray:
    """Energy of the speed in each band, [F, 4]; zeros if no frame has a face."""
    speed = np.diff(time_series.filled(values), axis=0, append=values[-1:] * np.nan)
    speed[-1:] = 0
    smoothed = [speed, *(time_series.smooth(speed, width) for width in _WIDTHS)]
    parts = [a - b for a, b in zip(smoothed[:-1], smoothed[1:], strict=True)]
    energies = [(part**2).sum(-1) for part in (*parts, smoothed[-1])]
    return np.nan_to_num(np.stack(energies, -1))
