"""Do the lips close for p, b and m?

The sound says where these phones may be; a closure counts where the true lips close
there too, since the phones are uncertain.
"""

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluation.metrics import bootstrap, sync, time_series
from lokitalk_jax.evaluation.metrics.bootstrap import Statistic
from lokitalk_jax.speech import sound_features

_LIKELY = 0.15  # probability of p, b or m; a frame has 0.09 on average
_AROUND = 2  # frames
_COUNTED = 3  # closures of a clip; fewer have no score
_CLOSED = 0.010  # face widths; shut lips are 0.002 to 0.008 apart
_NEARLY = 0.015  # closed up to the noise of landmarks


def closure(truth: np.ndarray, prediction: np.ndarray, likely: np.ndarray) -> Statistic:
    """Share of the truth's closures that the prediction shows too; a measure of ours.

    Args:
      truth, prediction: openings [F], face widths; NaN in frames without a face.
      likely: bool [F], see `likely_frames`.

    Returns:
      the share; it does not exist for a clip without closures.
    """
    one, other = (time_series.filled(x) for x in (truth, prediction))
    narrowest, narrow = (_narrowest(x) for x in (one, other))
    counts = likely & (narrowest < _CLOSED) & np.isfinite(narrow)
    return bootstrap.share(narrow < _NEARLY, counts, _COUNTED)


def likely_frames(samples: np.ndarray, count: int) -> np.ndarray:
    """Frames at which the sound is likely a p, b or m.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1], from the first frame's start.
      count: F.

    Returns:
      bool [F], one frame for each of these phones.
    """
    chosen = [sync.PHONES.index(name) for name in ("B", "M", "P")]
    likely = sync.phone_probabilities(samples)[:, chosen].sum(-1)
    length = sound_features.RATE // structs.FPS
    whole = likely[: len(likely) // length * length].reshape(-1, length).max(-1)
    found = np.pad(whole[:count], (0, max(count - len(whole), 0)))
    padded = np.pad(found, _AROUND)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1)
    return (found >= _LIKELY) & (found == windows.max(-1))


def _narrowest(openings: np.ndarray) -> np.ndarray:
    padded = np.pad(openings, _AROUND, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1).min(-1)
