"""Feature rows of speech, a hundred a second; streams and files give the same rows.

A row holds phone posteriors, log powers of mel bands, both or neither, and then the
loudness.
Bands are normalised for level and room by their running mean over past sound, so no row
waits for the end of a file: `push` any number of samples, `finish` at the end.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.signal

from lokitalk_jax import structs
from lokitalk_jax.speech import phones

RATE = 100  # rows a second
# The front end of the acoustic model's feat.params.
_FFT, _WINDOW, _HOP = 512, 410, structs.AUDIO_RATE // RATE
_BANDS, _LOW, _HIGH = 25, 130.0, 6800.0
# Numbers in a row of each kind, the loudness included.
WIDTHS = {"phones": 43, "mel": 26, "both": 68, "loudness": 1}
_PRE_EMPHASIS, _LIFTER = 0.97, 22
# Power of one step of 16-bit sound; less is rounding.
_FLOOR = 1e-7

# Seconds of sound after its own time that a row needs; of one with the loudness alone.
LOUDNESS_LOOK_AHEAD = _FFT / 2 / structs.AUDIO_RATE
LOOK_AHEAD = LOUDNESS_LOOK_AHEAD + phones.REACH / RATE

# The running mean starts at `_START_ROWS` rows of average speech (cepstra, the mean of
# six real clips) and forgets in `_MEMORY_ROWS`. The correlation of a ridge regression
# of lip distances is 0.43 (shortest clip 0.28); with the mean of the whole clip, which
# a stream does not have, it is 0.46 (0.45); with a start of 50 rows 0.42.
_AVERAGE = np.array([-49, 6, 6, 7, 0, -8, -5, -3, -4, 1, 0, 0, -1], np.float64)
_START_ROWS, _MEMORY_ROWS = 200, 1500
# In units of loudness, which is the first cepstrum, five times the mean log power: rows
# `_SILENCE` (35 dB) below the recent maximum, which falls by `_FADE` a row, or below
# `_FAINTEST`, are silence and do not count in the mean.
_SILENCE, _FADE = 40.0, 0.005
_FAINTEST = np.sqrt(_BANDS) * (np.log(_FLOOR) + 1)
_LOUDNESS_SCALE, _POSTERIOR_SCALE, _BAND_SCALE = 12.0, 10.0, 2.5
_ROWS = 3000  # whose spectra are in memory at a time; those of one take 5 kB


class State(NamedTuple):
    """State of the stream between two pieces of sound.

    Attributes:
      last: the last sample received.
      samples: pre-emphasised samples that the next rows need.
      received, rows: number of samples received, and of rows of bands made of them.
      loudest: maximum of the recent loudness.
      total, count: weighted sum of bands [25], and sum of the weights.
      bands: [<= 6, 25], normalised rows that the next differences need.
    """

    last: float
    samples: np.ndarray
    received: int
    rows: int
    loudest: float
    total: np.ndarray
    count: float
    bands: np.ndarray


def begin() -> State:
    """The state before the first sample."""
    return State(
        last=0.0,
        samples=np.zeros(_FFT // 2, np.float32),
        received=0,
        rows=0,
        loudest=_AVERAGE[0],
        total=_bands_of(_AVERAGE) * _START_ROWS,
        count=float(_START_ROWS),
        bands=np.zeros((0, _BANDS)),
    )


def push(
    state: State, samples: np.ndarray, kind: str = "phones"
) -> tuple[State, np.ndarray]:
    """Adds samples to the stream.

    Args:
      state: of the stream.
      samples: float [S], 16 kHz mono in [-1, 1]; any number of them.
      kind: what rows hold, a key of `WIDTHS`.

    Returns:
      the new state, and the rows that are complete by now, float32 [T, W].
    """
    samples = np.asarray(samples, np.float32)
    state = _append(state, samples)._replace(received=state.received + len(samples))
    return _rows(state, kind, last=False)


def finish(state: State, kind: str = "phones") -> np.ndarray:
    """The last rows, float32 [T, W], with silence after the end of the sound."""
    silence = np.zeros(_FFT // 2 + _HOP, np.float32)
    return _rows(_append(state, silence), kind, last=True)[1]


def features(samples: np.ndarray, kind: str = "phones") -> np.ndarray:
    """All feature rows of samples [S], float32 [S // 160, W]."""
    state, rows = push(begin(), samples, kind)
    return np.concatenate([rows, finish(state, kind)])


def _append(state: State, samples: np.ndarray) -> State:
    if not len(samples):
        return state
    before = np.append(np.float32(state.last), samples[:-1])
    emphasised = samples - np.float32(_PRE_EMPHASIS) * before
    return state._replace(
        last=float(samples[-1]), samples=np.concatenate([state.samples, emphasised])
    )


def _rows(state: State, kind: str, last: bool) -> tuple[State, np.ndarray]:
    count = max((len(state.samples) - _FFT) // _HOP + 1, 0)
    if last:
        count = min(count, state.received // _HOP - state.rows)
    state, new = _normalise(state, _bands(state.samples, count))
    if kind == "loudness":
        state = state._replace(
            samples=state.samples[count * _HOP :], rows=state.rows + count
        )
        return state, _scaled_loudness(new)
    known = state.bands
    if len(new) and state.rows == 0:
        known = np.repeat(new[:1], phones.REACH, 0)
    known = np.concatenate([known, new])
    if last and len(known):
        known = np.concatenate([known, np.repeat(known[-1:], phones.REACH, 0)])
    state = state._replace(
        samples=state.samples[count * _HOP :],
        rows=state.rows + count,
        bands=known[-2 * phones.REACH :],
    )
    if len(known) <= 2 * phones.REACH:
        return state, np.zeros((0, WIDTHS[kind]), np.float32)
    here = known[phones.REACH : -phones.REACH]
    parts = []
    if kind in ("phones", "both"):
        parts.append(phones.posteriors(_cepstra(known)) * _POSTERIOR_SCALE)
    if kind in ("mel", "both"):
        parts.append(here / _BAND_SCALE)
    parts.append(_scaled_loudness(here))
    return state, np.concatenate(parts, -1).astype(np.float32)


def _bands(samples: np.ndarray, count: int) -> np.ndarray:
    """Log powers [count, 25] of mel bands, in windows every `_HOP` samples."""
    parts = [np.zeros((0, _BANDS))]
    for first in range(0, count, _ROWS):
        parts.append(_few_bands(samples[first * _HOP :], min(_ROWS, count - first)))
    return np.concatenate(parts)


def _few_bands(samples: np.ndarray, count: int) -> np.ndarray:
    """`_bands` whose windows and spectra are all in memory."""
    window, bands = _front_end()
    pieces = np.lib.stride_tricks.sliding_window_view(samples, _FFT)[::_HOP][:count]
    spectra = np.asarray(scipy.fft.rfft(pieces * window, axis=-1))
    power = np.abs(spectra) ** 2 @ bands
    return np.log(np.maximum(power, _FLOOR)).astype(np.float64)


_ORDER = np.arange(phones.CEPSTRA)
_LIFT = 1 + _LIFTER / 2 * np.sin(np.pi * _ORDER / _LIFTER)


def _cepstra(bands: np.ndarray) -> np.ndarray:
    """Mel cepstra [..., 13] of log powers [..., 25]."""
    cepstra = np.asarray(scipy.fft.dct(bands, norm="ortho"))
    return cepstra[..., : phones.CEPSTRA] * _LIFT


def _bands_of(cepstra: np.ndarray) -> np.ndarray:
    """The smoothest log powers [..., 25] with given cepstra [..., 13]."""
    return np.asarray(scipy.fft.idct(cepstra / _LIFT, n=_BANDS, norm="ortho"))


def _loudness(bands: np.ndarray) -> np.ndarray:
    """The first cepstrum [...] of log powers [..., 25]."""
    return bands.sum(-1) / np.sqrt(_BANDS)


def _scaled_loudness(bands: np.ndarray) -> np.ndarray:
    """The last column of rows, float32 [T, 1]."""
    loudness = _loudness(bands)[:, None] / _LOUDNESS_SCALE
    return np.clip(loudness, -3, 3).astype(np.float32)


@functools.cache
def _front_end() -> tuple[np.ndarray, np.ndarray]:
    """Window [512], and weights of the mel bands [257, 25]."""
    import librosa  # slow to import, and training without sound does not need it

    window = np.zeros(_FFT, np.float32)
    side = (_FFT - _WINDOW) // 2
    window[side : side + _WINDOW] = scipy.signal.get_window("hamming", _WINDOW)
    bands = librosa.filters.mel(
        sr=structs.AUDIO_RATE,
        n_fft=_FFT,
        n_mels=_BANDS,
        fmin=_LOW,
        fmax=_HIGH,
        htk=True,
    ).T
    return window, bands


def _normalise(state: State, bands: np.ndarray) -> tuple[State, np.ndarray]:
    """Subtracts from each row of bands the running mean up to that row."""
    loudest, total, count = state.loudest, state.total, state.count
    keep, out = 1 - 1 / _MEMORY_ROWS, np.empty_like(bands)
    for i, (row, loud) in enumerate(zip(bands, _loudness(bands), strict=True)):
        loudest = max(loudest - _FADE, loud)
        if loud > max(loudest - _SILENCE, _FAINTEST):
            total, count = total * keep + row, count * keep + 1
        out[i] = row - total / count
    return state._replace(loudest=loudest, total=total, count=count), out
