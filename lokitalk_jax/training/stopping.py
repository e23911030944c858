"""Stopping a run before its last step: the time is up, SIGTERM or Ctrl-C arrived.

In a cluster JAX handles SIGTERM: it has all processes agree on a step, one after the
last step that any of them has asked about.
"""

import signal
import threading
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from lokitalk_jax import process

TIME_IS_UP = "train.max_minutes"
TERMINATED = "SIGTERM"
INTERRUPTED = "Ctrl-C"
_REASONS = ("", TIME_IS_UP, TERMINATED, INTERRUPTED)


def watch(step: int) -> None:
    """Prepares for a SIGTERM that arrives before the first step.

    Called as early as the step is known: if no step was asked about when the signal
    arrives, JAX has the processes stop after step 1, which a run that resumes later
    never asks about.

    Args:
      step: that the run resumes from.
    """
    if jax.process_count() > 1:
        multihost_utils.reached_preemption_sync_point(step)


class Stop:
    """Whether to stop, and why."""

    def __init__(self, max_minutes: float, log_every: int):
        """Starts the clock.

        Args:
          max_minutes: of the run; 0 is no limit.
          log_every: steps after which several processes compare their reasons.
        """
        self._end = time.monotonic() + 60 * max_minutes if max_minutes else None
        self._log_every = log_every
        self._reason = ""
        self._before = {}
        # Python lets the main thread alone handle signals.
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._on_interrupt}
            if jax.process_count() == 1:
                handlers[signal.SIGTERM] = self._on_term
            self._before = {k: signal.signal(k, v) for k, v in handlers.items()}

    def _on_term(self, *_):
        self._reason = TERMINATED

    def _on_interrupt(self, *_):
        if self._reason == INTERRUPTED:  # again: now, without saving
            raise KeyboardInterrupt
        self._reason = INTERRUPTED
        if jax.process_count() > 1:
            signal.raise_signal(signal.SIGTERM)  # JAX passes it on to the others

    def __call__(self, step: int) -> str:
        """Why to stop after `step`, or ""; all processes stop at the same step.

        In a cluster the reason of the first process counts, where it logs; a SIGTERM
        to any of them counts at once.
        """
        if self._end and time.monotonic() > self._end:
            self._reason = self._reason or TIME_IS_UP
        if jax.process_count() == 1:
            return self._reason
        agreed = ""
        if step % self._log_every == 0:
            index = np.array(_REASONS.index(self._reason))
            agreed = _REASONS[int(multihost_utils.broadcast_one_to_all(index))]
        if multihost_utils.reached_preemption_sync_point(step):
            # Of Ctrl-C only the process that received it knows.
            agreed = self._reason or TERMINATED
        return agreed

    def restore_handlers(self) -> None:
        """Restores the handlers of signals that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def urgent(reason: str) -> bool:
    """Whether a signal asked the process to end, which may be enforced soon."""
    return reason in (TERMINATED, INTERRUPTED)


def leave(reason: str, step: int) -> None:
    """Ends a run that was asked to stop, when it is saved.

    Args:
      reason: as of `Stop`.
      step: of the checkpoint.

    Raises:
      KeyboardInterrupt: Ctrl-C arrived.
      process.Terminated: SIGTERM arrived.
    """
    if urgent(reason) and jax.process_count() > 1:
        # SLURM ends the others when the first one leaves.
        multihost_utils.sync_global_devices("saved")
    saved = f"saved at step {step}, the same command resumes"
    if reason == TERMINATED:
        raise process.Terminated(saved)
    if reason == INTERRUPTED:
        raise KeyboardInterrupt(saved)
