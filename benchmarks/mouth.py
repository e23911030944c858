"""Opening of the mouth in pictures, by a face detector, and how two openings agree."""

from collections.abc import Iterable

import numpy as np

from lokitalk_jax.preparation import face_model, faces

# Numbers of landmarks of the face mesh.
_UPPER_LIP, _LOWER_LIP, _FOREHEAD, _CHIN = 13, 14, 10, 152


def openings(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Distance of the inner lips as a share of the height of the face.

    Args:
      pictures: of consecutive frames, uint8 [H, W, 3].

    Returns:
      [F], NaN where no face is found.
    """
    with faces.FaceDetector(face_model.find()) as detector:
        return np.array([_opening(detector.detect(picture)) for picture in pictures])


def _opening(found) -> float:
    if not found:
        return np.nan
    points = found[0][:, :2]
    height = np.linalg.norm(points[_CHIN] - points[_FOREHEAD])
    return float(np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP]) / height)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, over frames where both are finite; 0 where one is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or min(np.std(a), np.std(b)) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def lagged_correlations(
    later: np.ndarray, earlier: np.ndarray, lags: range
) -> list[float]:
    """Correlation for each lag: frames by which `later` is delayed."""
    count = min(len(later), len(earlier))
    edge = max(map(abs, lags))
    inside = slice(edge, count - edge)
    return [
        correlation(np.roll(later[:count], lag)[inside], earlier[:count][inside])
        for lag in lags
    ]
