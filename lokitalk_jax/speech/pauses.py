"""Pauses of speech, by the loudness around a frame."""

import numpy as np

# Rows before and after a frame whose loudest decides how quiet the frame is, where the
# look-ahead suffices.
AROUND = 8
# Loudness (see `sound_features`) of speech and of silence.
_SPOKEN, _SILENT = -1.5, -2.5


def quietness(
    loudness: np.ndarray, times: np.ndarray, before: int, after: int
) -> np.ndarray:
    """How quiet it is around some times: 0 in speech, 1 in silence.

    Args:
      loudness: [T], of feature rows; held before the first and after the last.
      times: [F], in rows.
      before, after: rows before and after a time that count.

    Returns:
      [F, 1].
    """
    around = times[:, None] + np.arange(-before, after + 1)
    loudest = loudness[np.clip(around, 0, len(loudness) - 1)].max(1, keepdims=True)
    return np.clip((_SPOKEN - loudest) / (_SPOKEN - _SILENT), 0, 1)
