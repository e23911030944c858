"""Distances between the lips of a face, and how well predicted ones agree with true."""

import numpy as np

from lokitalk_jax import structs

LAGS = np.arange(-12, 13)  # frames
_CLOSED = 0.15  # of the range of the inner opening
# Of the 20 points of a lip contour: corners, middles of the upper and the lower lip.
_CORNERS, _UPPER, _LOWER = (0, 10), 5, 15


def distances(lips: np.ndarray) -> np.ndarray:
    """Inner opening, outer opening and width [F, 3] of lips [F, 120], metres."""
    outer, inner = np.split(lips.reshape(len(lips), 40, 3), 2, axis=1)
    pairs = (inner, _UPPER, _LOWER), (outer, _UPPER, _LOWER), (outer, *_CORNERS)
    return np.stack(
        [np.linalg.norm(p[:, i] - p[:, j], axis=-1) for p, i, j in pairs], 1
    )


def correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's of each column."""
    predicted, true = predicted - predicted.mean(0), true - true.mean(0)
    spread = np.sqrt((predicted**2).sum(0) * (true**2).sum(0))
    return (predicted * true).sum(0) / np.maximum(spread, 1e-12)


def concordance(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Lin's concordance correlation of each column; it punishes wrong spread and mean.

    Lin (1989), "A concordance correlation coefficient to evaluate reproducibility".
    """
    shift = predicted.mean(0) - true.mean(0)
    product = ((predicted - predicted.mean(0)) * (true - true.mean(0))).mean(0)
    power = predicted.var(0) + true.var(0) + shift**2
    return 2 * product / np.maximum(power, 1e-18)


def best_lag_ms(predicted: np.ndarray, true: np.ndarray) -> int:
    """Delay of the prediction, milliseconds, with the highest correlation."""
    inside = slice(len(LAGS), -len(LAGS))
    found = [
        correlation(np.roll(predicted, lag, 0)[inside], true[inside]).mean()
        for lag in LAGS
    ]
    return int(LAGS[np.argmax(found)]) * 1000 // structs.FPS


def closures(predicted: np.ndarray, true: np.ndarray) -> dict[str, float | None]:
    """Agreement of closed lips, as of p, b and m, by the inner opening.

    Lips are closed where the opening is below `_CLOSED` of its range, from the 2nd to
    the 95th percentile of the true one.

    Args:
      predicted, true: [F, 3], see `distances`.

    Returns:
      closed: share of the closures (runs of closed frames between open ones) during
      which, or a frame before or after, predicted lips are closed; opened: share of
      the frames without a closure near in which predicted lips are open. None where
      there are none.
    """
    low, high = np.quantile(true[:, 0], (0.02, 0.95))
    level = low + _CLOSED * (high - low)
    shut, found = true[:, 0] < level, predicted[:, 0] < level
    near = np.convolve(shut, np.ones(3), "same") > 0
    edges = np.flatnonzero(np.diff(shut.astype(np.int8), prepend=0, append=0))
    runs = edges.reshape(-1, 2)
    inside = [(a, b) for a, b in runs if a > 0 and b < len(shut)]
    hit = [found[max(a - 1, 0) : b + 1].any() for a, b in inside]
    return {
        "closed": float(np.mean(hit)) if hit else None,
        "opened": float(np.mean(~found[~near])) if (~near).any() else None,
    }
