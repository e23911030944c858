"""Features of Whisper from sound as it arrives, with a stated look-ahead.

Whisper's encoder attends to its whole recording. Here the rows of the last half second
are encoded anew for every video frame, with silence after the last sample, and attend
to `_CONTEXT` older rows, whose keys and values are kept as they were when the rows
became so old. Memory and time are the same for every frame, and pieces of any length
give the same features. On six clips lips of unseen speakers correlate by 0.02 less with
the true ones than with features of whole recordings.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import whisper

ROWS_PER_FRAME = whisper.RATE // structs.FPS
_CONTEXT = 150  # older rows that are attended to, three seconds
_FRESH = 21  # rows that are encoded anew, in addition to the look-ahead
_SILENCE = 15  # rows of silence after the last sample
_WRAP = whisper.LONGEST - _SILENCE  # positions start again here
_FAINTEST = -5.0  # largest log power that counts before any sound
_MEL = whisper.RATE * 2  # rows a second of the spectrogram


class State(NamedTuple):
    """State of the stream between two pieces of sound.

    Attributes:
      samples: [S], the last ones received.
      received: number of samples received.
      frame: number of the next video frame.
      loudest: largest log power so far.
      caches: keys and values [2 layers, 2, heads, _CONTEXT, 64] of older rows.
    """

    samples: np.ndarray
    received: int
    frame: int
    loudest: float
    caches: jax.Array


def begin(params: dict) -> State:
    """Before the first sample; `params` are the encoder's."""
    heads = params["positions"].shape[-1] // whisper.HEAD
    shape = len(whisper.layers(params)), 2, heads, _CONTEXT, whisper.HEAD
    return State(np.zeros(0, np.float32), 0, 0, _FAINTEST, jnp.zeros(shape))


def push(
    state: State,
    params: dict,
    samples: np.ndarray,
    offsets: np.ndarray,
    look_ahead: float,
    last: bool = False,
) -> tuple[State, np.ndarray]:
    """Adds samples to the stream.

    Args:
      state: of the stream.
      params: of the encoder.
      samples: float [S], 16 kHz mono in [-1, 1].
      offsets: int [W], the rows wanted around each video frame, in rows.
      look_ahead: seconds of sound after a frame's time that its rows depend on.
      last: whether the sound ends here; silence follows.

    Returns:
      the new state, and rows of the frames that are complete, [F, W, D].
    """
    samples = np.concatenate([state.samples, np.asarray(samples, np.float32)])
    first = state.received - len(state.samples)  # number of the first sample kept
    received = first + len(samples)
    ahead = round(look_ahead * whisper.RATE)
    fresh = _FRESH + ahead
    if last:
        count = -(-received * structs.FPS // structs.AUDIO_RATE)
        end = (ROWS_PER_FRAME * count + ahead) * whisper.HOP
        samples = np.pad(samples, (0, max(end - received, 0)))
    else:
        count = (received // whisper.HOP - ahead) // ROWS_PER_FRAME + 1
    found = []
    for frame in range(state.frame, count):
        sounding = ROWS_PER_FRAME * frame + ahead  # rows before the end of the sound
        start = sounding - fresh
        powers = _powers(samples, first, start, sounding)
        loudest = max(state.loudest, float(powers.max()))
        mel = whisper.scaled(powers, loudest)
        mel[: max(2 - 2 * start, 0)] = 0  # before the sound began
        positions = np.maximum((start + np.arange(fresh + _SILENCE)) % _WRAP, 0)
        missing, old = max(-start, 0), min(max(start, 0), _CONTEXT)
        rows, caches = _step(params, state.caches, mel, positions, missing, old)
        at = np.clip(ROWS_PER_FRAME * frame - start + offsets, missing, len(rows) - 1)
        found.append(np.asarray(rows)[at])
        state = state._replace(frame=frame + 1, loudest=loudest, caches=caches)
    needed = (ROWS_PER_FRAME * state.frame + ahead - fresh - 2) * whisper.HOP
    keep = np.clip(needed - first, 0, len(samples))
    state = state._replace(samples=samples[keep:], received=received)
    empty = np.zeros((0, len(offsets), params["positions"].shape[-1]), np.float32)
    return state, np.stack(found) if found else empty


def _powers(samples: np.ndarray, first: int, start: int, sounding: int) -> np.ndarray:
    """Log powers of the spectrogram from a row of features to the end of the silence.

    Args:
      samples: numbered from `first`.
      first: number of the first sample.
      start: row of features; a row more at either end is included.
      sounding: row of features before which sound counts.
    """
    begin, stop = (start - 1) * whisper.HOP, (sounding + _SILENCE + 1) * whisper.HOP
    # The last window is centred a row of the spectrogram before the stop.
    size = stop - begin + 2 * whisper.HALF_FFT - structs.AUDIO_RATE // _MEL
    piece = np.zeros(size, np.float32)
    begin -= whisper.HALF_FFT
    low, high = max(begin, 0), sounding * whisper.HOP
    known = samples[max(low - first, 0) : max(high - first, 0)]
    piece[low - begin : low - begin + len(known)] = known
    return whisper.powers(piece)


@functools.partial(jax.jit)
def _step(params: dict, caches, mel, positions, missing: int, old: int):
    """Encodes the fresh rows of one video frame.

    Args:
      params: of the encoder.
      caches: see `State`.
      mel: [2 (R + 2), 80], spectrogram of the R fresh rows and one more at either end.
      positions: int [R].
      missing: fresh rows before the beginning of the sound.
      old: rows in the caches.

    Returns:
      rows [R, D], and the caches of the next frame.
    """
    rows = whisper.stem(params, mel)[1:-1] + params["positions"][positions]
    seen = jnp.concatenate(
        [jnp.arange(_CONTEXT) >= _CONTEXT - old, jnp.arange(len(rows)) >= missing]
    )
    kept = []
    for layer, cache in zip(whisper.layers(params), caches, strict=True):
        new = jnp.stack(whisper.keys_values(layer, rows))
        both = jnp.concatenate([cache, new], axis=2)
        rows = whisper.attend(layer, rows, *both, seen)
        kept.append(both[:, :, ROWS_PER_FRAME : ROWS_PER_FRAME + _CONTEXT])
    return rows, jnp.stack(kept)
