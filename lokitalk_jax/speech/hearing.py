"""Inputs of Audio2Motion for each video frame: windows of features, and quietness.

Sound arrives in pieces, and a frame is complete once the sound of its look-ahead is
there; or features of a whole recording are given at once.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import (
    audio2motion,
    pauses,
    sound_features,
    whisper,
    whisper_stream,
    whisper_weights,
)
from lokitalk_jax.speech.audio2motion import ROWS_PER_FRAME, Spec

# Numbers in a feature row of each kind, without the loudness that follows them.
WIDTHS = {"whisper": whisper.WIDTH, "phones": 42, "mel": 25, "both": 67}
# Seconds of sound after a frame that its features of Whisper depend on: in a stream,
# where the frame waits for it, and in a file.
LIVE, FILE = 0.08, 0.5
LOOK_AHEADS = 0.04, 1.0  # smallest and largest
# Rows without speech after which a pause begins to be silence; after twice as many it
# is silence throughout.
_SILENCE = 52


class Inputs(NamedTuple):
    """Inputs of F frames.

    Attributes:
      windows: [F, W, inputs], of feature rows.
      pause: [F, 1], from 0 in speech to 1 in a pause.
      silence: [F, 1], the same for a pause that lasts.
    """

    windows: np.ndarray
    pause: np.ndarray
    silence: np.ndarray


class State(NamedTuple):
    """State of the stream between two pieces of sound.

    Attributes:
      features: see `sound_features`.
      encoder: see `whisper_stream`; None for other features.
      rows: feature rows that the next frames need, the loudness last; of Whisper the
        loudness alone.
      levels: [T, 2], floor and peak of the loudness at each of `rows`.
      level: see `pauses`.
      first: number of the first of `rows`.
      frame: number of the next frame.
      samples: number of samples received.
      look_ahead: seconds, of features of Whisper.
      whole: whether `rows` are those of the whole sound.
    """

    features: sound_features.State
    encoder: whisper_stream.State | None
    rows: np.ndarray
    levels: np.ndarray
    level: pauses.Level
    first: int
    frame: int
    samples: int
    look_ahead: float
    whole: bool


def spec_of(hears: str, lip_dim: int, inputs: int | None = None) -> Spec:
    """Sizes of Audio2Motion on a kind of features; `inputs` where it is of a file."""
    inputs = inputs or WIDTHS[hears]
    count = min(Spec().components, inputs)
    return Spec(components=count, lip_dim=lip_dim, hears=hears, inputs=inputs)


def computed(spec: Spec) -> bool:
    """Whether features are computed from sound, not read from a file."""
    return spec.hears in WIDTHS


def look_ahead(spec: Spec, chosen: float = LIVE) -> float:
    """Seconds of sound after a frame's time that the frame waits for.

    Args:
      spec: sizes of Audio2Motion.
      chosen: of features of Whisper; those of phones and bands have their own.
    """
    if spec.hears == "whisper":
        return chosen
    if not computed(spec):
        return 0.0
    return spec.ahead / audio2motion.RATE + sound_features.LOOK_AHEAD


def begin(
    spec: Spec, rows: np.ndarray | None = None, look_ahead: float = LIVE
) -> State:
    """Before the first sample.

    Args:
      spec: sizes of Audio2Motion.
      rows: [T, inputs + 1], of the whole sound, the loudness last.
      look_ahead: seconds, of features of Whisper.

    Raises:
      ValueError: there are no weights of Whisper, or the look-ahead is out of range.
    """
    low, high = LOOK_AHEADS
    if not low <= look_ahead <= high:
        raise ValueError(
            f"look_ahead={look_ahead:g} s is out of range; give {low:g} to {high:g}"
        )
    whole = rows is not None
    encoder = None
    if rows is None:
        rows = np.zeros((0, WIDTHS[spec.hears] + 1), np.float32)
        if spec.hears == "whisper":
            encoder = whisper_stream.begin(whisper_weights.load())
            rows = rows[:, -1:]
    features, none, level = sound_features.begin(), np.zeros((0, 2)), pauses.Level()
    state = State(features, encoder, rows[:0], none, level, 0, 0, 0, look_ahead, whole)
    return _append(state, rows)


def _append(state: State, rows: np.ndarray) -> State:
    level, levels = pauses.push(state.level, rows[:, -1])
    return state._replace(
        rows=np.concatenate([state.rows, rows]),
        levels=np.concatenate([state.levels, levels]),
        level=level,
    )


def push(
    state: State, spec: Spec, samples: np.ndarray, last: bool = False
) -> tuple[State, Inputs]:
    """Adds samples to the stream.

    Args:
      state: of the stream.
      spec: sizes of Audio2Motion.
      samples: float [S], 16 kHz mono in [-1, 1].
      last: whether no sound follows.

    Returns:
      the new state, and the inputs of the frames that are complete by now.
    """
    state = state._replace(samples=state.samples + len(samples))
    count = state.samples * structs.FPS // structs.AUDIO_RATE
    if last:
        count = -(-state.samples * structs.FPS // structs.AUDIO_RATE)
    if state.whole:
        return _frames(state, spec, count)
    kind = "loudness" if state.encoder else spec.hears
    features, rows = sound_features.push(state.features, samples, kind)
    state = _append(state._replace(features=features), rows)
    if last:
        state = _append(state, sound_features.finish(features, kind))
    if state.encoder:
        encoder, windows = whisper_stream.push(
            state.encoder,
            whisper_weights.load(),
            samples,
            spec.offsets * whisper.RATE // audio2motion.RATE,
            state.look_ahead,
            last,
        )
        state = state._replace(encoder=encoder)
        return _frames(state, spec, state.frame + len(windows), windows)
    if not last:
        known = state.first + len(state.rows) - 1
        reach = max(spec.ahead, pauses.AROUND)
        count = max((known - reach) // ROWS_PER_FRAME + 1, state.frame)
    return _frames(state, spec, count)


def _frames(
    state: State, spec: Spec, until: int, windows: np.ndarray | None = None
) -> tuple[State, Inputs]:
    """Inputs of the frames before `until`; drops the rows that no later one needs."""
    times = np.arange(state.frame, until) * ROWS_PER_FRAME - state.first
    rows, levels = state.rows, state.levels
    if not len(rows):  # less than a row of sound
        rows, levels = np.zeros((1, rows.shape[1]), np.float32), np.zeros((1, 2))
    if windows is None:
        windows = audio2motion.windows(spec, rows[:, :-1], times)
    around, after = pauses.AROUND, pauses.AROUND
    if state.encoder:
        known = state.look_ahead - sound_features.LOUDNESS_LOOK_AHEAD
        after = min(after, int(known * audio2motion.RATE))
    earlier = times[:, None] - np.arange(0, 2 * _SILENCE, ROWS_PER_FRAME)
    quiet = pauses.quietness(rows[:, -1], levels, earlier.ravel(), around, after)
    held = np.minimum.accumulate(quiet.reshape(earlier.shape), axis=1)
    pause = held[:, :1]
    silence = held[:, _SILENCE // ROWS_PER_FRAME :].mean(1, keepdims=True)
    back = max(spec.back, around + 2 * _SILENCE)
    done = max(until * ROWS_PER_FRAME - back - state.first, 0)
    done = min(done, max(len(state.rows) - 1, 0))
    state = state._replace(
        rows=state.rows[done:],
        levels=state.levels[done:],
        first=state.first + done,
        frame=until,
    )
    return state, Inputs(windows, pause, silence)
