"""Motion without a driver, endless: blinks, and the head along its training poses."""

from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data.clip_records import ClipRecord

# Blinks of people in conversation: 26 a minute (Bentivoglio et al. 1997), here with
# exponential gaps above a second; a third of a second from open to open, of which
# closing takes about a third (Schiffman 2001).
_BLINKS_A_SECOND, _LEAST_GAP = 26 / 60, 1.0
_BLINK = np.array([0.7, 0.25, 0.0, 0.05, 0.3, 0.6, 0.85, 0.95])

# Frames over which the head slows down before it turns back.
_TURN = 12


def blinks(seed: int) -> Iterator[np.ndarray]:
    """Eye signals [3] of one frame after the other, both eyes blinking at once."""
    rng = np.random.default_rng(seed)
    mean_gap = 1 / _BLINKS_A_SECOND - _LEAST_GAP - len(_BLINK) / structs.FPS
    while True:
        gap = _LEAST_GAP + rng.exponential(mean_gap)
        for _ in range(round(gap * structs.FPS)):
            yield np.array(structs.EYE_REST, np.float32)
        for openness in _BLINK:
            yield np.array(structs.EYE_REST, np.float32) * [openness, openness, 1]


def training_poses(record: ClipRecord) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Head and torso signals of the training frames, forwards and backwards.

    The head comes to rest before it turns back, so neither pose nor speed jumps.

    Yields:
      head [6] and torso [6 * len(TORSO_LAGS)] of one frame.
    """
    first, count = _training_run(record)
    run = slice(first, first + count)
    head, torso = record.signals.head[run], record.signals.torso[run]
    for at in _back_and_forth(count):
        low = int(at)
        high, share = min(low + 1, len(head) - 1), at - low
        yield (
            (1 - share) * head[low] + share * head[high],
            (1 - share) * torso[low] + share * torso[high],
        )


def training_frames(record: ClipRecord) -> Iterator[int]:
    """Numbers of the frames nearest to `training_poses`."""
    first, count = _training_run(record)
    for at in _back_and_forth(count):
        yield first + round(at)


def _training_run(record: ClipRecord) -> tuple[int, int]:
    """First frame and number of frames, from the first training frame to the last."""
    first, last = (int(record.train_frames[k]) for k in (0, -1))
    return first, last - first + 1


def _back_and_forth(length: int) -> Iterator[float]:
    """Times from 0 to length - 1 and back again, with slow turns."""
    turn = min(_TURN, (length - 1) // 2)
    if turn < 1:
        while True:
            yield 0.0
    # Half a cosine's ramp of the speed takes twice as long for the same way.
    ramp = np.cumsum((1 - np.cos(np.pi * (np.arange(2 * turn) + 0.5) / (2 * turn))) / 2)
    middle = np.arange(ramp[-1] + 1, length - 1 - ramp[-1])
    forwards = np.concatenate([[0.0], ramp, middle, length - 1 - ramp[::-1]])
    while True:
        yield from forwards
        yield from forwards[::-1]
