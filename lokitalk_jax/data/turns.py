"""Runs of many identities: in each step some of them take their turn.

A step costs as much as its identities, so a prior of a hundred people that trains them
all in every step takes few steps. With turns, shared parameters learn in every step,
and the parameters of an identity in its own.
"""

from typing import NamedTuple

import numpy as np


class Turns(NamedTuple):
    """Which of the N slots take part in a step.

    The axis N is `lanes` blocks of `slots`, see `training.lanes`; in each block the
    same places take part, so that no device waits.

    Attributes:
      lanes: blocks of the axis N.
      slots: of a block.
      active: slots of each block that take part in a step.
    """

    lanes: int
    slots: int
    active: int

    @property
    def count(self) -> int:
        """Identities of a step, padding included."""
        return self.lanes * self.active

    def places(self, step):
        """Places [active] in a block; `step` is a number, or one that JAX traces."""
        return (step * self.active + np.arange(self.active)) % self.slots

    def round(self, step: int) -> int:
        """How often all identities had their turn before `step`."""
        return step * self.active // self.slots

    def rows(self, step: int) -> np.ndarray:
        """The slots [count] of a step."""
        blocks = np.arange(self.lanes)[:, None] * self.slots
        return (blocks + self.places(step)).ravel()


def make(count: int, lanes: int, identities: int) -> Turns | None:
    """The turns of a run.

    Args:
      count: N.
      lanes: devices along the mesh axis `identity`.
      identities: of a step, rounded up to a multiple of `lanes`; 0 takes all.

    Returns:
      None where all identities take part in every step.

    Raises:
      ValueError: `identities` is negative.
    """
    if identities < 0:
        raise ValueError(
            f"train.identities_per_step={identities} must be at least 0, which takes "
            "all"
        )
    active = -(-identities // lanes)
    if not active or active >= count // lanes:
        return None
    return Turns(lanes, count // lanes, active)
