"""A queue of sound, emptied at the rate of a clock.

A live avatar takes one block of sound for each frame. Sound may arrive in
pieces of any length, late like that of a network, or all at once like that of a speech
synthesiser. Where no sound arrives, the block is silence, and frames continue.
"""

import collections

import numpy as np

from lokitalk_jax import structs

SAMPLES_PER_FRAME = structs.AUDIO_RATE // structs.FPS

_PATIENCE = 0.2  # seconds that the clock waits for sound which is late
_MOST_LATE = 2.0  # seconds that a process which slept makes up for
# A microphone's clock may be faster than ours; waiting sound is taken faster by this.
_HASTE = 0.002
_DUE = 1e-3  # seconds since a block was due that sound after silence begins with


class SampleBuffer:
    """Samples, first in, first out."""

    def __init__(self):
        self._pieces: collections.deque[np.ndarray] = collections.deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, samples: np.ndarray) -> None:
        """Adds samples [S], finite floats.

        Raises:
          ValueError: they are of another type or shape, or not finite.
        """
        samples = np.asarray(samples)
        floats = samples.ndim == 1 and samples.dtype.kind == "f"
        if not floats or not np.isfinite(samples).all():
            raise ValueError(
                f"samples are {samples.dtype} {samples.shape}; give finite floats in "
                "[-1, 1], one channel at 16 kHz"
            )
        self._pieces.append(samples.astype(np.float32))
        self._count += len(samples)

    def take(self, count: int) -> np.ndarray:
        """Removes samples [count], filled up with silence."""
        block, at = np.zeros(count, np.float32), 0
        while self._pieces and at < count:
            piece = self._pieces.popleft()
            used = piece[: count - at]
            block[at : at + len(used)] = used
            at += len(used)
            if len(used) < len(piece):
                self._pieces.appendleft(piece[len(used) :])
        self._count -= at
        return block

    def clear(self) -> None:
        """Removes all."""
        self._pieces.clear()
        self._count = 0

    def shorten(self, count: int) -> None:
        """Keeps the last `count` samples."""
        self.take(max(self._count - count, 0))


class SoundQueue:
    """Gives out blocks of sound at the rate of a clock."""

    def __init__(self, now: float):
        """Starts the clock; `now` is in seconds, as in all methods."""
        self._origin = self._last = now
        self._given = 0
        self._idle = True
        self._sound = SampleBuffer()

    @property
    def waiting(self) -> float:
        """Seconds of sound that have arrived and have not been given out."""
        return len(self._sound) / structs.AUDIO_RATE

    def put(self, samples: np.ndarray) -> None:
        """Adds samples [S], 16 kHz mono in [-1, 1]."""
        self._sound.put(samples)

    def clear(self) -> None:
        """Drops the sound that waits."""
        self._sound.clear()

    def shorten(self, seconds: float) -> None:
        """Drops all sound that waits but the last `seconds`."""
        self._sound.shorten(round(seconds * structs.AUDIO_RATE))

    def take(self, now: float) -> list[np.ndarray]:
        """Blocks [SAMPLES_PER_FRAME] that are due."""
        late = self._late(now)
        self._origin += max(late - _MOST_LATE, 0.0)
        if self._idle and len(self._sound) >= SAMPLES_PER_FRAME:
            self._origin += min(late - _DUE, 0.0)  # sound after silence begins at once
        blocks = []
        while (late := self._late(now)) > 0:
            if len(self._sound) >= SAMPLES_PER_FRAME:
                self._idle = False
            elif late > _PATIENCE or (self._idle and not len(self._sound)):
                self._idle = True
            else:
                break
            blocks.append(self._sound.take(SAMPLES_PER_FRAME))
            self._given += 1
        if len(self._sound) >= SAMPLES_PER_FRAME:
            self._origin -= _HASTE * (now - self._last)
        self._last = now
        return blocks

    def _late(self, now: float) -> float:
        """Seconds since the next block was due."""
        return now - self._origin - self._given / structs.FPS
