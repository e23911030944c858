"""Lips of one person from speech, as it streams: coefficients.

In a pause they do what the person's lips do in pauses, and in silence they close.
"""

from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data.signals import Fitted
from lokitalk_jax.speech import audio2motion, sound_features, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

_BATCH = 32  # frames that the networks see at once, padded: one compiled program

# Loudness (see `speech`) of speech and of silence; between them lips go from one to the
# other. What counts is the loudest row from so many before to so many after a frame's
# own: for a pause a few, for silence half a second more of what was before.
_SPOKEN, _SILENT = -1.5, -2.5
_AROUND, _BEFORE = 8, 50
_CLOSED_SHARE = 0.05  # of the training frames, those with the least open lips
_FEWEST_PAUSED = 5  # training frames in pauses that tell what lips do there
# Coefficients beyond what was seen go on by at most this share of half their range.
_SOFT = 0.25
# Middle of the upper and of the lower inner lip, see `data.face_geometry`.
_INNER_UPPER, _INNER_LOWER = 25, 35


class LipLimits(NamedTuple):
    """What a person's lips can do.

    Attributes:
      closed: [D_lip], coefficients of the closed mouth.
      paused: [D_lip], of lips between words; some people leave them open there.
      low, high: [D_lip], least and most that was seen on training frames.
    """

    closed: np.ndarray
    paused: np.ndarray
    low: np.ndarray
    high: np.ndarray


class State(NamedTuple):
    """What is carried from one piece of sound to the next.

    Attributes:
      heard: see `speech`.
      rows: [time, inputs], feature rows that the next frames look at.
      first: number of the first of `rows`.
      frame: number of the next frame.
      samples: how many came in.
      clamped: frames in which a coefficient left what was seen.
    """

    heard: sound_features.State
    rows: np.ndarray
    first: int
    frame: int
    samples: int
    clamped: int


def lip_limits(fitted: Fitted, clip: SpokenClip) -> LipLimits:
    """What a person's lips can do, by the training frames of a clip.

    Args:
      fitted: signals of the run.
      clip: of the person. One without sound, or without pauses, closes its mouth in
        pauses too.
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
    loudness = sound_features.features(spoken_clip.samples(clip), "mel")[:, -1]
    if not len(loudness):  # less than a row of sound
        return closed
    times = clip.train_frames * audio2motion.ROWS_PER_FRAME
    quiet = _quiet(loudness, times, _AROUND)
    if quiet.sum() < _FEWEST_PAUSED:
        return closed
    return (quiet * lip).sum(0) / quiet.sum()


def _quiet(loudness: np.ndarray, times: np.ndarray, before: int) -> np.ndarray:
    """How quiet [F, 1] it is around times [F], 0 in speech and 1 without any.

    Args:
      loudness: [time], held before the first and after the last.
      times: in its rows.
      before: rows before a time that count.
    """
    around = times[:, None] + np.arange(-before, _AROUND + 1)
    loudest = loudness[np.clip(around, 0, len(loudness) - 1)].max(1, keepdims=True)
    return np.clip((_SPOKEN - loudest) / (_SPOKEN - _SILENT), 0, 1)


def begin(voice: Voice, rows: np.ndarray | None = None) -> State:
    """Before the first sample.

    Args:
      voice: of the run.
      rows: [time, inputs], all that will be heard, for a voice that hears a file.
    """
    if rows is None:
        rows = np.zeros((0, voice.spec.inputs), np.float32)
    return State(sound_features.begin(), rows, 0, 0, 0, 0)


def push(
    state: State, voice: Voice, person: LipLimits, gain: float, samples: np.ndarray
) -> tuple[State, np.ndarray]:
    """Hears some more.

    Args:
      state: so far.
      voice: of the run.
      person: whose lips.
      gain: of the motion about the mean.
      samples: float [S], 16 kHz mono in [-1, 1].

    Returns:
      the state after it, and the lips of the frames that are complete by now,
      float32 [F, D_lip].
    """
    if not voice.spec.streams:
        state = state._replace(samples=state.samples + len(samples))
        until = state.samples * structs.FPS // structs.AUDIO_RATE
        return _frames(state, voice, person, gain, until)
    heard, new = sound_features.push(state.heard, samples, voice.spec.hears)
    state = state._replace(
        heard=heard,
        rows=np.concatenate([state.rows, new]),
        samples=state.samples + len(samples),
    )
    known = state.first + len(state.rows) - 1
    reach = max(voice.spec.ahead, _AROUND)
    until = (known - reach) // audio2motion.ROWS_PER_FRAME + 1
    return _frames(state, voice, person, gain, max(until, state.frame))


def finish(
    state: State, voice: Voice, person: LipLimits, gain: float
) -> tuple[State, np.ndarray]:
    """The frames that were waiting for sound that will not come."""
    rows = state.rows
    if voice.spec.streams:
        last = sound_features.finish(state.heard, voice.spec.hears)
        rows = np.concatenate([rows, last])
    count = -(-state.samples * structs.FPS // structs.AUDIO_RATE)
    if not len(rows):  # less than a row of sound
        rows = np.zeros((1, voice.spec.inputs), np.float32)
    return _frames(state._replace(rows=rows), voice, person, gain, count)


def of_rows(
    voice: Voice, person: LipLimits, rows: np.ndarray, count: int
) -> np.ndarray:
    """Lips of frames whose whole sound is at hand, the same as streamed.

    Args:
      voice: of the run.
      person: whose lips.
      rows: [time, inputs], what it hears, see `spoken_clip.rows`.
      count: F, frames from the beginning.

    Returns:
      float32 [F, D_lip].
    """
    return _frames(begin(voice, rows), voice, person, 1.0, count)[1]


def _frames(state: State, voice: Voice, person: LipLimits, gain: float, until: int):
    """Lips of the frames before `until`; forgets the rows that no later one needs."""
    found, clamped = [], state.clamped
    for start in range(state.frame, until, _BATCH):
        numbers = np.arange(start, min(start + _BATCH, until))
        padded = np.resize(numbers, _BATCH)
        times = padded * audio2motion.ROWS_PER_FRAME - state.first
        looked_at = audio2motion.windows(voice.spec, state.rows, times)
        mean, _ = jax.device_get(_apply(voice.spec, voice.params, looked_at))
        lip, out = _clamp(gain * mean, person)
        pause, silence = (
            _quiet(state.rows[:, -1], times, before)
            for before in (_AROUND, _AROUND + _BEFORE)
        )
        lip += pause * (person.paused - lip)
        lip += silence * (person.closed - lip)
        found.append(lip[: len(numbers)].astype(np.float32))
        clamped += int(out[: len(numbers)].any(1).sum())
    back = max(voice.spec.back, _AROUND + _BEFORE)
    done = max(until * audio2motion.ROWS_PER_FRAME - back - state.first, 0)
    done = min(done, max(len(state.rows) - 1, 0))
    state = state._replace(
        rows=state.rows[done:], first=state.first + done, frame=until, clamped=clamped
    )
    width = len(person.closed)
    return state, np.concatenate([np.zeros((0, width), np.float32), *found])


_apply = jax.jit(audio2motion.apply, static_argnums=0)


def _clamp(lip: np.ndarray, person: LipLimits) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients within what was seen, softly, and which were not."""
    room = np.maximum(_SOFT * (person.high - person.low) / 2, 1e-6)
    over, under = np.maximum(lip - person.high, 0), np.maximum(person.low - lip, 0)
    inside = np.clip(lip, person.low, person.high)
    soft = inside + room * (np.tanh(over / room) - np.tanh(under / room))
    return soft, (over > 0) | (under > 0)
