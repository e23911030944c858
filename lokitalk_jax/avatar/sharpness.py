"""The size of live frames: as large as keeps pace, and larger when nothing moves."""

import statistics
from collections.abc import Sequence

from lokitalk_jax import structs

_BUDGET = 1 / structs.FPS  # seconds for a frame that moves
_ENOUGH = 12  # frames whose median decides
_CAREFUL = 0.8  # share of the budget that a larger size may take
_PAUSE = 3  # frames without motion before each larger picture


class Sharpness:
    """Chooses sizes by the time that frames take."""

    def __init__(self, sizes: Sequence[int]):
        """Starts with the smallest of `sizes`, pixels."""
        self._sizes = sorted(set(sizes))
        self._level = self._refined = self._still = 0
        self._seconds: list[float] = []

    def size(self, still: bool) -> int:
        """The size of the next frame.

        Args:
          still: whether it shows the same as the frame before.
        """
        if not still:
            self._refined, self._still = self._level, 0
        else:
            self._still += 1
            if self._still % _PAUSE == 0:
                self._refined = min(self._refined + 1, len(self._sizes) - 1)
        return self._sizes[self._refined]

    def took(self, size: int, seconds: float) -> None:
        """Learns how long a frame took."""
        if size != self._sizes[self._level]:
            return
        self._seconds.append(seconds)
        if len(self._seconds) < _ENOUGH:
            return
        typical = statistics.median(self._seconds)
        self._seconds = []
        if typical > _BUDGET and self._level > 0:
            self._level -= 1
        elif self._level + 1 < len(self._sizes):
            larger = (self._sizes[self._level + 1] / size) ** 2
            self._level += typical * larger < _CAREFUL * _BUDGET
