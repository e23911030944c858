"""Training of one identity with a clock that counts neither compiling nor scoring."""

import itertools
import time
from collections.abc import Callable

import jax

from lokitalk_jax.avatar.run import OpenAvatar, assemble
from lokitalk_jax.training import train_step
from lokitalk_jax.training.session import Session


class TimedTraining:
    """The training of a session, some steps at a time.

    Attributes:
      step: steps done.
      seconds: that they took.
      data, record: the identity's clip, and what a run would keep of it.
    """

    def __init__(
        self, session: Session, clock: Callable[[], float] = time.perf_counter
    ):
        """Compiles the step; `clock` returns seconds."""
        (self.data,) = session.training_set.datasets
        self.record = session.training_set.record(self.data)
        self.step, self.seconds = 0, 0.0
        self._session, self._clock = session, clock
        self._state, self._source = session.state, session.batches.iterate(0)
        first = next(self._source)
        # A step donates the buffers of its state, so compiling takes a copy.
        spare = jax.tree.map(lambda leaf: leaf.copy(), session.state)
        jax.block_until_ready(session.advance(spare, 0, first))
        self._batches = itertools.chain([first], self._source)

    def run(self, steps: int) -> None:
        """Does `steps` more steps."""
        began = self._clock()
        for _ in range(steps):
            batch = next(self._batches)
            self._state, _ = self._session.advance(self._state, self.step, batch)
            self.step += 1
        jax.block_until_ready(self._state)
        self.seconds += self._clock() - began

    def avatar(self) -> OpenAvatar:
        """The identity as it is trained by now."""
        session, params = self._session, train_step.avatar_params(self._state, 0)
        return assemble(session.model, session.config, self.record, params)

    def close(self) -> None:
        """Stops the threads that read batches."""
        self._source.close()
