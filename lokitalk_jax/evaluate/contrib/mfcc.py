"""Mel cepstra as SyncNet was trained on them: those of python_speech_features."""

import functools

import numpy as np
import scipy.fft

from lokitalk_jax import structs

RATE = 100  # rows a second
_WINDOW, _HOP, _FFT = structs.AUDIO_RATE // 40, structs.AUDIO_RATE // RATE, 512
_BANDS, _COUNT, _LIFTER, _EMPHASIS = 26, 13, 22, 0.97
_LEAST = np.finfo(float).eps


def cepstra(samples: np.ndarray) -> np.ndarray:
    """Cepstra of a piece of sound; the first is the log energy.

    Args:
      samples: float [S], 16 kHz mono, of the size of 16-bit integers.

    Returns:
      [time, 13], 100 rows a second.
    """
    samples = np.float64(samples)
    samples = np.append(samples[:1], samples[1:] - _EMPHASIS * samples[:-1])
    count = 1 + max(-(-(len(samples) - _WINDOW) // _HOP), 0)
    padded = np.zeros((count - 1) * _HOP + _WINDOW)
    padded[: len(samples)] = samples
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(pieces, _FFT)) ** 2 / _FFT
    bands = power @ _filters().T
    rows = scipy.fft.dct(np.log(np.where(bands == 0, _LEAST, bands)), norm="ortho")
    order = np.arange(_COUNT)
    rows = rows[:, :_COUNT] * (1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER))
    energy = power.sum(1)
    rows[:, 0] = np.log(np.where(energy == 0, _LEAST, energy))
    return rows


@functools.cache
def _filters() -> np.ndarray:
    """Triangles on the mel scale, their corners at whole bins, [26, 257]."""
    top = 2595 * np.log10(1 + structs.AUDIO_RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    bins = np.floor((_FFT + 1) * corners / structs.AUDIO_RATE)
    at = np.arange(_FFT // 2 + 1)
    filters = np.zeros((_BANDS, len(at)))
    for row, (low, mid, high) in zip(
        filters, zip(bins, bins[1:], bins[2:], strict=False), strict=True
    ):
        rising, falling = (at >= low) & (at < mid), (at >= mid) & (at < high)
        row[rising] = (at[rising] - low) / (mid - low)
        row[falling] = (high - at[falling]) / (high - mid)
    return filters
