"""Lips of one identity from speech, streaming or from a file.

In pauses the lips take the identity's pause shape, and in longer silence they close.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import audio2motion, lip_limits, sound_features
from lokitalk_jax.speech import voice as voices
from lokitalk_jax.speech.lip_limits import LipLimits
from lokitalk_jax.speech.voice import Voice

_BATCH = 32  # frames in one call of the network, padded, so that it compiles once
_SILENCE = 50  # rows without speech after which the lips close


class State(NamedTuple):
    """State of the stream between two pieces of sound.

    Attributes:
      features: see `sound_features`.
      rows: [T, inputs], feature rows that the next frames need.
      first: number of the first of `rows`.
      frame: number of the next frame.
      samples: number of samples received.
    """

    features: sound_features.State
    rows: np.ndarray
    first: int
    frame: int
    samples: int


def begin(voice: Voice, rows: np.ndarray | None = None) -> State:
    """The state before the first sample.

    Args:
      voice: of the run.
      rows: [T, inputs], of the whole sound, for a voice on features from a file.
    """
    if rows is None:
        rows = np.zeros((0, voice.spec.inputs), np.float32)
    return State(sound_features.begin(), rows, 0, 0, 0)


def push(
    state: State, voice: Voice, limits: LipLimits, samples: np.ndarray
) -> tuple[State, np.ndarray]:
    """Adds samples to the stream.

    Args:
      state: of the stream.
      voice: of the run.
      limits: of the identity.
      samples: float [S], 16 kHz mono in [-1, 1].

    Returns:
      the new state, and the lips of the frames that are complete by now, float32
      [F, D_lip].
    """
    state = state._replace(samples=state.samples + len(samples))
    if not voice.spec.streams:
        until = state.samples * structs.FPS // structs.AUDIO_RATE
        return _frames(state, voice, limits, until)
    features, new = sound_features.push(state.features, samples, voice.spec.hears)
    state = state._replace(features=features, rows=np.concatenate([state.rows, new]))
    known = state.first + len(state.rows) - 1
    reach = max(voice.spec.ahead, lip_limits.AROUND)
    until = (known - reach) // audio2motion.ROWS_PER_FRAME + 1
    return _frames(state, voice, limits, max(until, state.frame))


def finish(state: State, voice: Voice, limits: LipLimits) -> tuple[State, np.ndarray]:
    """The lips of the last frames, after which no sound follows."""
    rows = state.rows
    if voice.spec.streams:
        last = sound_features.finish(state.features, voice.spec.hears)
        rows = np.concatenate([rows, last])
    count = -(-state.samples * structs.FPS // structs.AUDIO_RATE)
    if not len(rows):  # less than a row of sound
        rows = np.zeros((1, voice.spec.inputs), np.float32)
    return _frames(state._replace(rows=rows), voice, limits, count)


def of_rows(
    voice: Voice, limits: LipLimits, rows: np.ndarray, count: int
) -> np.ndarray:
    """Lips of a whole sound, the same as streamed.

    Args:
      voice: of the run.
      limits: of the identity.
      rows: [T, inputs], see `spoken_clip.rows`.
      count: F, frames from the beginning.

    Returns:
      float32 [F, D_lip].
    """
    return _frames(begin(voice, rows), voice, limits, count)[1]


def _frames(
    state: State, voice: Voice, limits: LipLimits, until: int
) -> tuple[State, np.ndarray]:
    """Lips of the frames before `until`; drops the rows that no later one needs."""
    found = [np.zeros((0, len(limits.closed)), np.float32)]
    around = lip_limits.AROUND
    for start in range(state.frame, until, _BATCH):
        numbers = np.arange(start, min(start + _BATCH, until))
        padded = np.resize(numbers, _BATCH)
        times = padded * audio2motion.ROWS_PER_FRAME - state.first
        windows = audio2motion.windows(voice.spec, state.rows, times)
        mean, _ = voices.predict(voice, windows)
        lip = lip_limits.softened(limits, mean)
        pause, silence = (
            lip_limits.quietness(state.rows[:, -1], times, before)
            for before in (around, around + _SILENCE)
        )
        lip += pause * (limits.paused - lip)
        lip += silence * (limits.closed - lip)
        found.append(lip[: len(numbers)].astype(np.float32))
    back = max(voice.spec.back, around + _SILENCE)
    done = max(until * audio2motion.ROWS_PER_FRAME - back - state.first, 0)
    done = min(done, max(len(state.rows) - 1, 0))
    state = state._replace(
        rows=state.rows[done:], first=state.first + done, frame=until
    )
    return state, np.concatenate(found)
