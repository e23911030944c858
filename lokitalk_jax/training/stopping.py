"""Stopping a run before its last step: the time is up, or SIGTERM arrived."""

import signal
import threading
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

TIME_IS_UP = "train.max_minutes"


class Stop:
    """Whether to stop.

    In a cluster JAX handles SIGTERM, and all processes agree on the step at which
    `Checkpoints.reached_preemption` is true.

    Attributes:
      reason: why to stop, or "".
    """

    def __init__(self, max_minutes: float):
        """Starts the clock; `max_minutes` of 0 is no limit."""
        self._end = time.monotonic() + 60 * max_minutes if max_minutes else None
        self.reason = ""
        self._before = None
        # Python lets the main thread alone handle signals.
        in_main = threading.current_thread() is threading.main_thread()
        if jax.process_count() == 1 and in_main:
            self._before = signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, *_):
        self.reason = "SIGTERM"

    def __call__(self) -> bool:
        """Whether to stop; `reason` then says why."""
        if self._end and time.monotonic() > self._end:
            self.reason = self.reason or TIME_IS_UP
        return bool(self.reason)

    def restore_handler(self) -> None:
        """Restores the handler of SIGTERM that was there before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def agreed(stop: bool, step: int, log_every: int) -> bool:
    """Whether all processes stop at `step`; the first one decides, when it logs."""
    if jax.process_count() == 1:
        return stop
    if step % log_every:
        return False
    return bool(multihost_utils.broadcast_one_to_all(np.array(stop)))
