"""Pauses of speech, by the loudness around a frame.

It is a pause where it is silent, or where the sound is steady and near its floor, as in
a room or a street where nobody speaks. The floor is the lowest level so far, and rises
slowly, so that it follows a noise that grows.
"""

from typing import NamedTuple

import numpy as np

# Rows before and after a frame whose loudness decides how quiet the frame is, where the
# look-ahead suffices.
AROUND = 8
# Loudness (see `sound_features`, a unit is 10 dB) of speech and of silence.
_SPOKEN, _SILENT = -1.5, -2.5
# Loudness over the floor, range of the loudness around a frame: of speech, of a pause.
_OVER, _NEAR = 0.5, 0.25
_VARYING, _STEADY = 0.4, 0.32
_LEAST_RANGE = 0.5  # from the floor to the peak, where somebody has spoken
_RISE, _FALL = 0.0003, 0.0001  # of floor and peak, a row


class Level(NamedTuple):
    """Floor and peak of a stream of loudness.

    Attributes:
      recent: the last rows of loudness.
      floor, peak: lowest and highest level of a sixth of a second.
    """

    recent: np.ndarray = np.zeros(0, np.float32)
    floor: float = np.inf
    peak: float = -np.inf


def push(level: Level, loudness: np.ndarray) -> tuple[Level, np.ndarray]:
    """Adds rows of loudness [T]; returns floor and peak at each, float32 [T, 2]."""
    recent = np.concatenate([level.recent, loudness])
    floor, peak, found = level.floor, level.peak, np.zeros((len(loudness), 2), "f4")
    first = len(level.recent)
    for i in range(len(loudness)):
        loudest = recent[max(first + i - 2 * AROUND, 0) : first + i + 1].max()
        floor = min(loudest, floor + _RISE)
        peak = max(loudest, peak - _FALL)
        found[i] = floor, peak
    return Level(recent[-2 * AROUND :], floor, peak), found


def quietness(
    loudness: np.ndarray, levels: np.ndarray, times: np.ndarray, before: int, after: int
) -> np.ndarray:
    """How quiet it is around some times: 0 in speech, 1 in a pause.

    Args:
      loudness: [T], of feature rows; held before the first and after the last.
      levels: [T, 2], floor and peak at each, see `push`.
      times: [F], in rows.
      before, after: rows before and after a time that count.

    Returns:
      [F, 1].
    """
    around = times[:, None] + np.arange(-before, after + 1)
    around = np.clip(around, 0, len(loudness) - 1)
    near_by = loudness[around]
    loudest, span = near_by.max(1), np.ptp(near_by, axis=1)
    silent = np.clip((_SPOKEN - loudest) / (_SPOKEN - _SILENT), 0, 1)
    floor, peak = levels[around[:, -1]].T
    near = np.clip((floor + _OVER - loudest) / (_OVER - _NEAR), 0, 1)
    steady = np.clip((_VARYING - span) / (_VARYING - _STEADY), 0, 1)
    spoken = peak - floor > _LEAST_RANGE
    return np.maximum(silent, near * steady * spoken)[:, None]


def of_sound(loudness: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Quietness [F, 1] at some times of a whole sound's loudness [T]."""
    return quietness(loudness, push(Level(), loudness)[1], times, AROUND, AROUND)
