"""Motion of the lips against the true motion: does it follow, far enough, in time.

Openings are [F], see `mouth.openings`; NaN in frames without a face. Each score is a
`bootstrap.Statistic`.
"""

import numpy as np
import scipy.interpolate

from lokitalk_jax import structs
from lokitalk_jax.evaluation.metrics import time_series
from lokitalk_jax.evaluation.metrics.bootstrap import Statistic

_MAX_LAG, _STEP = 12, 0.125  # frames
_DRIFT = 19  # frames; slower changes say little about a lag
# Lips have a lag if they correlate with the true ones so much there, and so much more
# than at any lag further than four frames away.
_FOLLOWS, _STANDS_OUT, _AWAY = 0.3, 0.1, 4
_STILL = 0.1  # of the true lips' motion; less is the noise of landmarks
# The best of many lags correlates by chance at up to this over the root of the frames.
_CHANCE = 5.0


def correlation(truth: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Pearson's correlation of the openings [F]; it does not see their amplitude."""
    return Statistic(_moments(truth, prediction), _correlation)


def concordance(truth: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Concordance correlation (Lin 1989): 1 only if the openings [F] are equal."""

    def of(sums: np.ndarray) -> np.ndarray:
        (x, y), (xx, yy, xy) = _centred(sums)
        return 2 * xy / (xx + yy + (x - y) ** 2)

    return Statistic(_moments(truth, prediction), of)


def amplitude(truth: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Standard deviation of the openings over the true one; below 1 moves too little.

    Ours; THEval (2025) compares the dynamics of lips, head and brows too.

    Of signals [F, D] the deviations of all D parts are taken together.
    """

    def of(sums: np.ndarray) -> np.ndarray:
        _, (xx, yy, _) = _centred(sums)
        parts = xx.reshape(*xx.shape[:-1], -1).sum(-1), yy.sum(-1)
        return np.sqrt(parts[1] / parts[0])

    one, other = (x.reshape(len(x), -1) for x in (truth, prediction))
    parts = [_moments(a, b) for a, b in zip(one.T, other.T, strict=True)]
    terms = np.stack(parts, 1)  # [F, D, 6]
    shape = terms.shape[1:]
    return Statistic(
        terms.reshape(len(terms), -1),
        lambda sums: of(sums.reshape(*sums.shape[:-1], *shape)),
    )


def lag_ms(truth: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Delay of the lips against the true lips, milliseconds; positive if late.

    Ours: the prediction [F] is moved by fractions of a frame (cubic splines) to where
    it correlates best with the truth [F]. NaN if it hardly moves, if it correlates
    nowhere (in a short clip, no more than chance would), or most at the end of the
    search: 12 frames, or a quarter of the clip.
    """
    reach = min(_MAX_LAG, len(truth) // 4)
    lags = np.arange(-reach, reach + _STEP / 2, _STEP)
    follows = max(_FOLLOWS, _CHANCE / max(len(truth) - 2 * reach, 1) ** 0.5)
    terms = np.zeros((len(truth), 1 + 2 * len(lags)))
    one, other = (time_series.filled(x) for x in (truth, prediction))
    if np.isfinite(one + other).all():
        one, other = (time_series.fast(x, _DRIFT) for x in (one, other))
        at = np.arange(len(one))
        inner = slice(reach, len(one) - reach)
        moved = scipy.interpolate.CubicSpline(at, other)(at[inner, None] + lags)
        x = one[inner, None]
        terms[inner] = np.concatenate([x * x, x * moved, moved**2], -1)

    def of(sums: np.ndarray) -> np.ndarray:
        products, squares = np.split(sums[..., 1:], 2, axis=-1)
        found = products / np.sqrt(sums[..., :1] * squares)
        best = np.nan_to_num(found, nan=-1.0).argmax(-1)
        inside = (0 < best) & (best < len(lags) - 1)
        away = np.abs(lags - lags[best][..., None]) > _AWAY
        elsewhere = np.where(away, found, -1).max(-1)
        height = found.max(-1)
        least = np.maximum(follows, elsewhere + _STANDS_OUT)
        square = np.take_along_axis(squares, best[..., None], -1)[..., 0]
        moves = square > _STILL**2 * sums[..., 0]
        known = inside & moves & (height > least)
        return np.where(known, lags[best] * 1000 / structs.FPS, np.nan)

    return Statistic(terms, of)


def _moments(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """One, both values, their squares and their product, [F, 6]; zeros for NaN."""
    x, y = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    terms = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], -1)
    return np.where(np.isfinite(terms).all(-1, keepdims=True), terms, 0)


def _centred(sums: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Means of both values; variances and covariance."""
    x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
    # Rounding may make the variance of a still mouth negative.
    xx, yy = (np.maximum(a - b * b, 0) for a, b in ((xx, x), (yy, y)))
    return [x, y], [xx, yy, xy - x * y]


def _correlation(sums: np.ndarray) -> np.ndarray:
    _, (xx, yy, xy) = _centred(sums)
    # A still mouth correlates with nothing.
    return np.where((yy > 1e-12) & (xx > 1e-12), xy / np.sqrt(xx * yy), np.nan)
