"""Range and rest of an identity's lips, measured on its clip."""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.data.signals import Fitted
from lokitalk_jax.speech import audio2motion, pauses, sound_features, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip

_CLOSED_SHARE = 0.05  # of the training frames, those whose lips are least open
_FEWEST_PAUSED = 5  # training frames in pauses that define the lips there
# Coefficients may leave the measured range by this share of half of it.
_SOFT = 0.25
# Middle of the upper and of the lower inner lip, see `data.face_geometry`.
_INNER_UPPER, _INNER_LOWER = 25, 35


class LipLimits(NamedTuple):
    """Range and rest of an identity's lip coefficients.

    Attributes:
      closed: [D_lip], of the closed mouth.
      paused: [D_lip], of the lips in pauses; some people leave them open.
      low, high: [D_lip], minimum and maximum over training frames.
    """

    closed: np.ndarray
    paused: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def room(self) -> np.ndarray:
        """[D_lip], how far coefficients may leave the range."""
        return np.maximum(_SOFT * (self.high - self.low) / 2, 1e-6)


def of_clip(fitted: Fitted, clip: SpokenClip) -> LipLimits:
    """Measures the training frames of a clip.

    Args:
      fitted: signals of the run.
      clip: of one of its identities. Without sound or without pauses, lips are taken to
        be closed in pauses.
    """
    n, lip = fitted.index(clip.name), clip.lip[clip.train_frames]
    shapes = fitted.lip_mean[n] + (lip * fitted.lip_scale[n]) @ fitted.lip_basis
    points = shapes.reshape(len(lip), -1, 3)
    opening = np.linalg.norm(points[:, _INNER_UPPER] - points[:, _INNER_LOWER], axis=-1)
    count = max(round(_CLOSED_SHARE * len(lip)), 1)
    closed = lip[np.argsort(opening)[:count]].mean(0)
    return LipLimits(closed, _paused(clip, lip, closed), lip.min(0), lip.max(0))


def _paused(clip: SpokenClip, lip: np.ndarray, closed: np.ndarray) -> np.ndarray:
    if not clip.audio:
        return closed
    loudness = sound_features.features(spoken_clip.samples(clip), "loudness")[:, -1]
    if not len(loudness):  # less than a row of sound
        return closed
    times = clip.train_frames * audio2motion.ROWS_PER_FRAME
    quiet = pauses.of_sound(loudness, times)
    if quiet.sum() < _FEWEST_PAUSED:
        return closed
    return (quiet * lip).sum(0) / quiet.sum()


def softened(limits: LipLimits, lip: np.ndarray) -> np.ndarray:
    """Coefficients [..., D_lip], compressed outside the range to stay in its room."""
    over, under = np.maximum(lip - limits.high, 0), np.maximum(limits.low - lip, 0)
    inside = np.clip(lip, limits.low, limits.high)
    room = limits.room
    return inside + room * (np.tanh(over / room) - np.tanh(under / room))


def clipped(limits: LipLimits, lip: np.ndarray) -> np.ndarray:
    """Coefficients [..., D_lip], cut to the range with its room.

    Leaves what `softened` returns as it is.
    """
    return np.clip(lip, limits.low - limits.room, limits.high + limits.room)


def outside(limits: LipLimits, lip: np.ndarray) -> np.ndarray | np.bool:
    """Bool [...], whether a coefficient of lips [..., D_lip] is out of the range."""
    return np.asarray((lip < limits.low) | (lip > limits.high)).any(-1)
