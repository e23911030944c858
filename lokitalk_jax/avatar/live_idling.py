"""Idle motion of a live avatar: which frames are silent is known as sound arrives.

A file is searched for stretches without speech as a whole, see `idling`. Here a stretch
begins when it has lasted a second, and ends with the speech that the frame's look-ahead
contains, so that no word begins with an idle mouth.
"""

import collections
import itertools

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import idling, motion
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.sound_queue import SAMPLES_PER_FRAME, SampleBuffer
from lokitalk_jax.data.clip_records import ClipRecord

_LONGEST = 1500  # frames of sound by which speech is known to be loud
_FAINT = -60.0  # dB; below it sound is silence, however faint speech is
_OUT = 3  # frames in which speech takes over


class LiveIdling:
    """Mixes an idle motion into the silent frames of a stream."""

    def __init__(self, record: ClipRecord, look_ahead: float):
        """Starts without an idle motion.

        Args:
          record: of the avatar.
          look_ahead: seconds of sound after its own that each frame waits for.
        """
        self._record, self._ahead = record, int(look_ahead * structs.FPS)
        self._idle: structs.Signals | None = None
        self._sound = SampleBuffer()
        self._levels: collections.deque[float] = collections.deque(maxlen=_LONGEST)
        self._silent: collections.deque[bool] = collections.deque()
        self._lasted, self._share = 0, 0.0

    def use(self, idle: structs.Signals | None) -> None:
        """Sets the idle motion, leaves [K, ...]; None for none."""
        if idle is not None:
            count = len(idle.head)
            order = motion.back_and_forth(count, max(2 * count - 2, 1))
            self._order = itertools.cycle(order)
        self._idle = idle

    def put(self, samples: np.ndarray) -> None:
        """Adds samples [S], 16 kHz mono."""
        self._sound.put(samples)
        while len(self._sound) >= SAMPLES_PER_FRAME:
            block = self._sound.take(SAMPLES_PER_FRAME).astype(np.float64)
            level = 10 * np.log10(np.square(block).mean() + 1e-10)
            if level >= _FAINT:
                self._levels.append(level)
            self._silent.append(self._is_silent(level))

    def _is_silent(self, level: float) -> bool:
        if level < _FAINT:
            return True
        return level < np.percentile(self._levels, 95) - idling.SILENCE

    def mixed(self, frame: FrameMotion) -> FrameMotion:
        """The next frame, whose sound was put in."""
        known = itertools.islice(self._silent, 1 + self._ahead)
        speaks_soon = not all(known)
        if self._silent:
            self._silent.popleft()
        self._lasted = 0 if speaks_soon else self._lasted + 1
        change = 1 / idling.RAMP if self._lasted >= idling.SHORTEST else -1 / _OUT
        self._share = float(np.clip(self._share + change, 0, 1))
        if self._idle is None or self._share == 0:
            return frame
        part = self._share**2 * (3 - 2 * self._share)
        return idling.mixed(self._record, frame, self._idle, next(self._order), part)
