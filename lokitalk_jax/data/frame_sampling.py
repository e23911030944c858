"""Which frames of a clip are drawn: those of open mouths and closed eyes more often.

A person at rest fills most of a clip. Drawn evenly, the few frames of a wide open mouth
or of a blink weigh so little that lips and lids move less than they should.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.structs import Signals


class Unusual(NamedTuple):
    """Shares of the drawn frames, each in [0, 1]; the rest is drawn evenly.

    Attributes:
      lip, eye: drawn by the distance of the signal from its median.
    """

    lip: float = 0.0
    eye: float = 0.0

    def check(self) -> None:
        """Raises ValueError unless these are shares."""
        if min(self) < 0 or sum(self) > 1:
            raise ValueError(
                f"data.unusual.lip={self.lip} data.unusual.eye={self.eye} must be "
                "shares of the frames: not negative, with a sum of at most 1"
            )


def chances(signals: Signals, frames: np.ndarray, unusual: Unusual) -> np.ndarray:
    """Chances of frames to be drawn.

    Args:
      signals: of all frames of the clip, leaves [F, ...].
      frames: numbers of the frames to draw from, [M].
      unusual: the shares.

    Returns:
      float64 [M], with a sum of 1.
    """
    even = np.full(len(frames), 1 / len(frames))
    found = (1 - sum(unusual)) * even
    for share, signal in zip(unusual, (signals.lip, signals.eye), strict=True):
        chosen = signal[frames].astype(np.float64)
        far = np.linalg.norm(chosen - np.median(chosen, axis=0), axis=1)
        found += share * (far / far.sum() if far.any() else even)
    return found / found.sum()
