"""Confidence intervals of scores that are functions of sums over frames.

Neighbouring frames resemble each other. The intervals are therefore bootstrapped from
blocks of a second (Kuensch 1989), not from frames.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_RESAMPLES = 2000
_LEVELS = (2.5, 97.5)  # per cent
# Of fewer blocks most resamples are equal, and intervals far too narrow.
_FEWEST = 4


class Statistic(NamedTuple):
    """A score of a clip as a function of sums over its frames.

    Attributes:
      terms: [F, M], terms of each frame in the sums; zeros for a frame that does not
        count.
      of: gives the score [...] for sums [..., M]; NaN where it does not exist.
    """

    terms: np.ndarray
    of: Callable[[np.ndarray], np.ndarray]

    def value(self) -> float | None:
        """The score of all frames; None if it does not exist."""
        found = _quiet(self.of, self.terms.sum(0))
        return float(found) if np.isfinite(found) else None

    def interval(self, block: int) -> list[float] | None:
        """Its 95% interval [low, high]; None for fewer than four blocks.

        Args:
          block: frames that make up a second, at least 1.
        """
        found = self.resampled(block)
        if found is None or self.value() is None:
            return None
        found = found[np.isfinite(found)]
        return percentiles(found) if len(found) else None

    def resampled(self, block: int) -> np.ndarray | None:
        """The score of each resample, [resamples]; None for fewer than four blocks."""
        times = draws(-(-len(self.terms) // block))
        if times is None:
            return None
        starts = np.arange(0, len(self.terms), block)
        return _quiet(self.of, times @ np.add.reduceat(self.terms, starts))


def draws(blocks: int) -> np.ndarray | None:
    """Number of times that each resample holds each block, [resamples, blocks].

    None for fewer than four blocks.
    """
    if blocks < _FEWEST:
        return None
    # Seeded, so that the same frames always have the same interval.
    generator = np.random.default_rng(0)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), _RESAMPLES)


def percentiles(values: np.ndarray) -> list[float]:
    """Ends of the 95% interval of resampled values [resamples]."""
    return [float(one) for one in np.percentile(values, _LEVELS)]


def share(hits: np.ndarray, counts: np.ndarray, least: int) -> Statistic:
    """Mean of `hits` [F] over the frames that count, bool [F].

    It does not exist for fewer than `least` such frames.
    """

    def of(sums: np.ndarray) -> np.ndarray:
        return np.where(sums[..., 1] >= least, sums[..., 0] / sums[..., 1], np.nan)

    return Statistic(np.stack([np.where(counts, hits, 0), counts], -1) + 0.0, of)


def _quiet(of: Callable[[np.ndarray], np.ndarray], sums: np.ndarray) -> np.ndarray:
    """`of(sums)`, where 0 / 0 is a score that does not exist."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(of(sums))
