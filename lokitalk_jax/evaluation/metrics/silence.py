"""Do the lips rest while the sound is silent?

Openings are [F], see `mouth.openings`; NaN in frames without a face. Each score is a
`bootstrap.Statistic`, and does not exist for a clip without silence.
"""

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluation.metrics import bootstrap, time_series
from lokitalk_jax.evaluation.metrics.bootstrap import Statistic

FRAME_SAMPLES = structs.AUDIO_RATE // structs.FPS
_LOUD, _FLOOR = 90, 2  # percentiles of the level of speech and of the room
_BELOW = 30.0  # dB below speech is silence, or
_ABOVE_FLOOR = 0.2  # this share of the way from room to speech, where it is louder
_LEAST_RANGE = 15.0  # dB between room and speech; with less, silence is not heard
# Lips close after the last sound and open before the next one: frames.
_AFTER, _BEFORE, _LEAST = 3, 4, 3
_COUNTED = 5  # silent frames of a clip; fewer have no score
# Frames of the windows in which motion of truth and prediction is compared.
_WINDOW, _TRUE_WINDOW = 5, 11
# Face widths: three times the difference of openings that are detected again in the
# same frames, moved by a few pixels.
_NOISE = 0.008


def silent_frames(samples: np.ndarray, count: int) -> np.ndarray:
    """Frames in the middle of a silence.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1], from the first frame's start.
      count: F.

    Returns:
      bool [F].
    """
    quiet, silent = _quiet(samples, count), np.zeros(count, bool)
    for span in time_series.spans(quiet):
        # Nothing is said before the first and after the last frame.
        start = span.start + (_AFTER if span.start else 0)
        stop = span.stop - (_BEFORE if span.stop < count else 0)
        if stop - start >= _LEAST:
            silent[start:stop] = True
    return silent


def leakage(truth: np.ndarray, prediction: np.ndarray, silent: np.ndarray) -> Statistic:
    """Share of silent frames in which the lips move more than the true lips do.

    Of openings [F] and silent frames, bool [F]. Motion is the difference of the widest
    and the narrowest opening within 5 frames. It leaks if it exceeds that of the true
    lips within 11 frames by more than the noise of the landmarks. LipLeak (KeySync,
    2025) asks the same; this measure is ours.
    """
    one, other = (time_series.filled(x) for x in (truth, prediction))
    allowed = time_series.reach(one, _TRUE_WINDOW) + _NOISE
    leaks = time_series.reach(other, _WINDOW) > allowed
    counts = silent & np.isfinite(one) & np.isfinite(other)
    return bootstrap.share(leaks, counts, _COUNTED)


def lip_motion(openings: np.ndarray, silent: np.ndarray) -> Statistic:
    """Mean change of the opening [F] from frame to frame in silence, bool [F].

    The counterpart of THEval's silent-lip stability; in thousandths of a face width.
    """
    change = np.abs(np.diff(openings, append=np.nan))
    counts = silent & np.append(silent[1:], False) & np.isfinite(change)
    return bootstrap.share(1000 * change, counts, _COUNTED)


def levels(samples: np.ndarray, count: int) -> np.ndarray:
    """Level of the sound during each frame, dB, [F]."""
    samples = np.asarray(samples[: count * FRAME_SAMPLES], np.float64)
    padded = np.pad(samples, (0, count * FRAME_SAMPLES - len(samples)))
    power = (padded.reshape(count, FRAME_SAMPLES) ** 2).mean(-1)
    return 10 * np.log10(power + 1e-10)


def _quiet(samples: np.ndarray, count: int) -> np.ndarray:
    level = levels(samples, count)
    speech, room = np.percentile(level, [_LOUD, _FLOOR])
    if speech - room < _LEAST_RANGE:
        return np.zeros(count, bool)
    return level < max(speech - _BELOW, room + _ABOVE_FLOOR * (speech - room))
