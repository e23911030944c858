"""The first layers of Whisper's audio encoder, as pure functions.

Radford et al. (2022), "Robust speech recognition via large-scale weak supervision": a
log-mel spectrogram of 100 rows a second, two convolutions of which the second halves
the rate, sinusoidal positions, and transformer layers with the normalisation first. Row
t of the features stands at t / 50 s.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.signal

from lokitalk_jax import structs
from lokitalk_jax.broadcasting import trailing

RATE = 50  # rows of features a second
WIDTH = 384  # D, numbers in a row
HOP = structs.AUDIO_RATE // RATE  # samples from one row to the next
HALF_FFT = 200
LONGEST = 1500  # rows that have a position

_MEL_HOP, _BANDS = 160, 80
HEAD = 64  # numbers of an attention head
_FAINTEST, _RANGE = 1e-10, 8.0  # of the mel power; in powers of ten


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram as Whisper was trained on.

    Args:
      samples: float [S], 16 kHz mono; sound is mirrored at its ends.

    Returns:
      float32 [S // 160, 80].
    """
    count = len(samples) // _MEL_HOP
    if not count:
        return np.zeros((0, _BANDS), np.float32)
    mirrored = np.pad(np.asarray(samples, np.float32), HALF_FFT, "reflect")
    found = powers(mirrored)[:count]
    return scaled(found, float(found.max()))


def powers(samples: np.ndarray) -> np.ndarray:
    """Log10 of mel powers [T, 80] of all windows of 400 samples, 160 apart."""
    pieces = np.lib.stride_tricks.sliding_window_view(samples, 2 * HALF_FFT)
    window, bands = _front_end()
    spectra = np.asarray(scipy.fft.rfft(pieces[::_MEL_HOP] * window, axis=-1))
    return np.log10(np.maximum(np.abs(spectra) ** 2 @ bands, _FAINTEST))


def scaled(powers: np.ndarray, loudest: float) -> np.ndarray:
    """Log powers [T, 80], cut off below `loudest` - 8 and scaled for the network."""
    return np.asarray((np.maximum(powers, loudest - _RANGE) + 4) / 4, np.float32)


@functools.cache
def _front_end() -> tuple[np.ndarray, np.ndarray]:
    """Window [400], and weights of the mel bands [201, 80]."""
    import librosa  # slow to import, and training without sound does not need it

    window = np.asarray(scipy.signal.get_window("hann", 2 * HALF_FFT), np.float32)
    bands = librosa.filters.mel(
        sr=structs.AUDIO_RATE, n_fft=2 * HALF_FFT, n_mels=_BANDS
    )
    return window, bands.T


def stem(params: dict, mel: jax.Array) -> jax.Array:
    """Convolutions of a log-mel spectrogram [T, 80], without positions: [T / 2, D].

    T is even; spectra before and after are zero, as in Whisper.
    """
    hidden = _convolved(params["conv1"], mel, 1)
    return _convolved(params["conv2"], hidden, 2)


def _convolved(params: dict, x: jax.Array, stride: int) -> jax.Array:
    rows = jax.lax.conv_general_dilated(
        x[None],
        params["kernel"],
        (stride,),
        ((1, 1),),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )[0]
    return jax.nn.gelu(rows + params["bias"][None], approximate=False)


def keys_values(layer: dict, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keys and values [heads, T, 64] of rows [T, D] before a layer."""
    normed = _normed(layer["attention_norm"], rows)
    return _heads(_affine(layer["key"], normed)), _heads(
        _affine(layer["value"], normed)
    )


def attend(layer: dict, rows: jax.Array, keys, values, seen=None) -> jax.Array:
    """Rows [T, D] after a layer.

    Args:
      layer: its parameters.
      rows: [T, D], before it.
      keys, values: [heads, K, 64], of the rows that these attend to.
      seen: bool [K], which of those the rows attend to; by default all.
    """
    normed = _normed(layer["attention_norm"], rows)
    queries = _heads(_affine(layer["query"], normed))
    scores = queries @ keys.swapaxes(-1, -2) / math.sqrt(HEAD)
    if seen is not None:
        scores = jnp.where(seen[None, None], scores, -jnp.inf)
    mixed = (jax.nn.softmax(scores, -1) @ values).swapaxes(0, 1)
    rows = rows + _affine(layer["out"], mixed.reshape(rows.shape))
    normed = _normed(layer["mlp_norm"], rows)
    hidden = jax.nn.gelu(_affine(layer["up"], normed), approximate=False)
    return rows + _affine(layer["down"], hidden)


def layers(params: dict) -> list[dict]:
    """Parameters of the transformer layers, in order."""
    return [params[f"layers_{n}"] for n in range(len(params) - 3)]


@jax.jit
def encode(params: dict, mel: jax.Array) -> jax.Array:
    """Features after the last of the layers in `params`.

    Args:
      params: see `whisper_weights`.
      mel: [T, 80], see `log_mel`; T is even and at most 3000.

    Returns:
      [T / 2, D].
    """
    rows = stem(params, mel)
    rows += params["positions"][: len(rows)]
    for layer in layers(params):
        rows = attend(layer, rows, *keys_values(layer, rows))
    return rows


# A recording is encoded in blocks of 30 s, the length of Whisper's training; rows
# nearer than this to the ends of a block are dropped.
_MARGIN = 2 * RATE


def features(params: dict, samples: np.ndarray) -> np.ndarray:
    """Features [ceil(S / 320), D] of a whole recording [S], with all of its context."""
    count, rows = -(-len(samples) // HOP), []
    step = LONGEST - 2 * _MARGIN
    for start in range(0, max(count - _MARGIN, 1), step):
        first = max(start - _MARGIN, 0)
        block = np.zeros(LONGEST * HOP, np.float32)
        known = samples[first * HOP :][: len(block)]
        block[: len(known)] = known
        found = np.asarray(encode(params, log_mel(block)))
        last = start + step >= count - _MARGIN
        kept = found[start - first :] if last else found[start - first :][:step]
        rows.append(kept)
    return np.concatenate(rows)[:count]


def _normed(params: dict, x: jax.Array) -> jax.Array:
    x = x - x.mean(-1, keepdims=True)
    x = x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return x * trailing(params["scale"], x) + trailing(params["bias"], x)


def _affine(params: dict, x: jax.Array) -> jax.Array:
    return x @ params["kernel"] + trailing(params["bias"], x)


def _heads(x: jax.Array) -> jax.Array:
    """[T, D] -> [heads, T, 64]."""
    return x.reshape(len(x), -1, HEAD).swapaxes(0, 1)
