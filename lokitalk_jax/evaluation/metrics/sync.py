"""Lip sync from phones: correlation of mouth opening and sound, and their lag.

Each phone (see `speech.phones`) has a typical mouth opening in every language: vowels
open the mouth, m, b and p close it. The opening expected from phones and loudness is
correlated with the opening measured from landmarks. On six real clips the correlation
is highest within one frame of the clip's stated offset.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluation.metrics import time_series
from lokitalk_jax.speech import sound_features

MAX_LAG = 12  # frames
MIN_FRAMES = 50
MIN_SAMPLES = structs.AUDIO_RATE // structs.FPS

# Openings, closed 0 to wide 1, in the order of the acoustic model's phones. Consonants
# whose lip shape depends on their neighbours lie in between.
_OPENINGS = {
    "+NSN+": 0.2, "+SPN+": 0.2, "AA": 1.0, "AE": 0.9, "AH": 0.7, "AO": 0.9, "AW": 0.9,
    "AY": 0.9, "B": 0.0, "CH": 0.3, "D": 0.3, "DH": 0.3, "EH": 0.75, "ER": 0.5,
    "EY": 0.65, "F": 0.15, "G": 0.4, "HH": 0.5, "IH": 0.5, "IY": 0.4, "JH": 0.3,
    "K": 0.4, "L": 0.45, "M": 0.0, "N": 0.3, "NG": 0.4, "OW": 0.6, "OY": 0.7, "P": 0.0,
    "R": 0.35, "S": 0.25, "SH": 0.3, "SIL": 0.05, "T": 0.3, "TH": 0.3, "UH": 0.4,
    "UW": 0.3, "V": 0.15, "W": 0.25, "Y": 0.35, "Z": 0.25, "ZH": 0.3,
}  # fmt: skip
PHONES = tuple(_OPENINGS)

# Slower changes are expressions and turns of the head, not syllables.
_DRIFT = 19  # frames
_BLUR = np.array([0.25, 0.5, 0.25])
_ROWS = sound_features.RATE // structs.FPS  # rows of sound features in a frame


class Sync(NamedTuple):
    """Agreement of lips and sound.

    Attributes:
      correlation: of measured and expected openings, at lag 0.
      best: the highest correlation within `MAX_LAG` frames.
      lag_ms: its lag, milliseconds; positive if the lips are late.
      elsewhere: the highest correlation more than 4 frames away from that lag. The lag
        is reliable if `best` is clearly higher.
    """

    correlation: float
    best: float
    lag_ms: float
    elsewhere: float


def expected_openings(samples: np.ndarray, count: int) -> np.ndarray:
    """Mouth opening expected from the sound, for each frame.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1], from the first frame's start; at
        least `MIN_SAMPLES`.
      count: F.

    Returns:
      [F], fast changes only, with mean 0 and standard deviation 1.
    """
    rows = sound_features.features(samples)
    weights = np.array(list(_OPENINGS.values()))
    by_phone, loudness = rows[:, : len(weights)] @ weights, rows[:, -1]
    by_phone, loudness = (
        _standardised(_by_frame(x, count)) for x in (by_phone, loudness)
    )
    return _standardised(
        time_series.fast(np.convolve(by_phone + loudness, _BLUR, "same"), _DRIFT)
    )


def agreement(openings: np.ndarray, expected: np.ndarray) -> Sync | None:
    """Agreement of measured and expected mouth openings.

    Args:
      openings: [F], measured, in any unit; NaN in frames without a face.
      expected: [F], see `expected_openings`.

    Returns:
      the agreement; None for fewer than `MIN_FRAMES` frames, if over a fifth of the
      faces are missing, or if the mouth never moves.
    """
    there = np.isfinite(openings)
    if len(openings) < MIN_FRAMES or there.mean() < 0.8 or np.ptp(openings[there]) == 0:
        return None
    seen = time_series.fast(time_series.filled(openings), _DRIFT)
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    found = np.array([_correlation(seen, expected, int(lag)) for lag in lags])
    best = int(found.argmax())
    away = np.abs(lags - lags[best]) > 4
    return Sync(
        correlation=float(found[MAX_LAG]),
        best=float(found[best]),
        lag_ms=float(1000 / structs.FPS * (lags[best] + _vertex(found, best))),
        elsewhere=float(found[away].max()),
    )


def phone_probabilities(samples: np.ndarray) -> np.ndarray:
    """Probabilities of `PHONES` in samples [S], float32 [T, 42], 100 rows a second."""
    rows = sound_features.features(samples)[:, : len(PHONES)]
    return rows / rows.sum(-1, keepdims=True)


def _by_frame(rows: np.ndarray, count: int) -> np.ndarray:
    """Mean of the rows within each frame; the last one is repeated."""
    means = rows[: len(rows) // _ROWS * _ROWS].reshape(-1, _ROWS).mean(1)
    return means[np.minimum(np.arange(count), len(means) - 1)]


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(values.std(), 1e-6)


def _correlation(seen: np.ndarray, expected: np.ndarray, lag: int) -> float:
    count = len(seen) - abs(lag)
    a, b = seen[max(lag, 0) :][:count], expected[max(-lag, 0) :][:count]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def _vertex(values: np.ndarray, at: int) -> float:
    """Offset of a peak from index `at`, by a parabola through three values."""
    if not 0 < at < len(values) - 1:
        return 0.0
    low, mid, high = values[at - 1 : at + 2]
    return float((high - low) / (2 * (2 * mid - low - high) + 1e-9))
