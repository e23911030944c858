"""Whether lips move with the sound, and how late, without a network to download.

What is said is heard as phones (see `drive.phones`), and every phone has a usual mouth
opening, whatever the language: vowels open it, m, b and p close it. The opening that
the sound asks for, together with its loudness, is laid over the one that is seen. On
six real clips the two agree best within one frame of the stated offset.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import sound_features

MAX_LAG = 12  # frames
MIN_FRAMES = 50

# Openings, closed 0 to wide 1, in the order of the acoustic model's phones. Consonants
# that leave the lips to their neighbours lie in between.
_OPENINGS = {
    "+NSN+": 0.2, "+SPN+": 0.2, "AA": 1.0, "AE": 0.9, "AH": 0.7, "AO": 0.9, "AW": 0.9,
    "AY": 0.9, "B": 0.0, "CH": 0.3, "D": 0.3, "DH": 0.3, "EH": 0.75, "ER": 0.5,
    "EY": 0.65, "F": 0.15, "G": 0.4, "HH": 0.5, "IH": 0.5, "IY": 0.4, "JH": 0.3,
    "K": 0.4, "L": 0.45, "M": 0.0, "N": 0.3, "NG": 0.4, "OW": 0.6, "OY": 0.7, "P": 0.0,
    "R": 0.35, "S": 0.25, "SH": 0.3, "SIL": 0.05, "T": 0.3, "TH": 0.3, "UH": 0.4,
    "UW": 0.3, "V": 0.15, "W": 0.25, "Y": 0.35, "Z": 0.25, "ZH": 0.3,
}  # fmt: skip

# Slower changes are moods and turns of the head, not syllables.
_DRIFT = 19  # frames
_BLUR = np.array([0.25, 0.5, 0.25])
_ROWS = sound_features.RATE // structs.FPS  # of sound a frame


class Sync(NamedTuple):
    """How well lips and sound agree.

    Attributes:
      correlation: as they are.
      best: at the lag where they agree best, within `MAX_LAG` frames.
      lag_ms: that lag, milliseconds; positive where the lips are late.
      elsewhere: the largest correlation at lags over 4 frames away from it. A lag is
        to be believed where `best` stands well above it.
    """

    correlation: float
    best: float
    lag_ms: float
    elsewhere: float


def asked_openings(samples: np.ndarray, count: int) -> np.ndarray:
    """How wide the sound asks a mouth to be, in each frame.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1], from the first frame's start.
      count: F.

    Returns:
      [F], about 0 on the whole and 1 in spread, of the fast changes alone.
    """
    heard = sound_features.features(samples)
    weights = np.array(list(_OPENINGS.values()))
    vowels, loudness = heard[:, : len(weights)] @ weights, heard[:, -1]
    together = sum(_standard(_by_frame(part, count)) for part in (vowels, loudness))
    return _standard(_fast(np.convolve(together, _BLUR, "same")))


def agreement(openings: np.ndarray, asked: np.ndarray) -> Sync | None:
    """Agreement of what is seen with what is heard.

    Args:
      openings: [F], mouth openings in any unit; NaN where no face was found.
      asked: [F], see `asked_openings`.

    Returns:
      the agreement; None for fewer than `MIN_FRAMES` frames, or where a fifth of the
      faces or more was missed, or the mouth stands still.
    """
    there = np.isfinite(openings)
    if len(openings) < MIN_FRAMES or there.mean() < 0.8 or np.ptp(openings[there]) == 0:
        return None
    at = np.arange(len(openings))
    seen = _fast(np.interp(at, at[there], openings[there]))
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    found = np.array([_correlation(seen, asked, lag) for lag in lags])
    best = int(found.argmax())
    away = np.abs(lags - lags[best]) > 4
    return Sync(
        correlation=float(found[MAX_LAG]),
        best=float(found[best]),
        lag_ms=float(1000 / structs.FPS * (lags[best] + _vertex(found, best))),
        elsewhere=float(found[away].max()),
    )


def _by_frame(rows: np.ndarray, count: int) -> np.ndarray:
    """Mean of the rows that lie within each frame, the last repeated."""
    means = rows[: len(rows) // _ROWS * _ROWS].reshape(-1, _ROWS).mean(1)
    return means[np.minimum(np.arange(count), len(means) - 1)]


def _fast(values: np.ndarray) -> np.ndarray:
    """What remains without the moving average."""
    padded = np.pad(values, _DRIFT // 2, mode="edge")
    return values - np.convolve(padded, np.full(_DRIFT, 1 / _DRIFT), "valid")


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(values.std(), 1e-6)


def _correlation(seen: np.ndarray, asked: np.ndarray, lag: int) -> float:
    count = len(seen) - abs(lag)
    a, b = seen[max(lag, 0) :][:count], asked[max(-lag, 0) :][:count]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def _vertex(values: np.ndarray, at: int) -> float:
    """Where between neighbours the parabola through a peak is highest."""
    if not 0 < at < len(values) - 1:
        return 0.0
    low, mid, high = values[at - 1 : at + 2]
    return float((high - low) / (2 * (2 * mid - low - high) + 1e-9))
