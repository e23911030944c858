"""One figure in the form of THEval: how near a video is to the truth in eight respects.

THEval (arXiv 2511.04520) takes for each respect 1 - |m - truth| / truth and averages
the eight. Three of its measures are networks that are not distributed here; stand-ins
without networks take their place, so the figure is ours and is not THEval's.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

_LEAST = 5  # respects; with fewer there is no composite


class Respect(NamedTuple):
    """A respect in which video and truth are compared.

    Attributes:
      theirs: THEval's measure.
      ours: the measure here.
      values: gives those of video and truth, None where they do not exist, for scores
        by their path, such as "frame.cpbd".
    """

    theirs: str
    ours: str
    values: Callable[[Mapping[str, float | None]], tuple[float | None, float | None]]


def _pair(key: str) -> Callable:
    return lambda scores: (scores.get(key), scores.get(f"{key}_truth"))


def _ratio(key: str) -> Callable:
    return lambda scores: (scores.get(key), 1.0)


RESPECTS = {
    "aesthetics": Respect("TOPIQ-IAA", "CPBD of the frame", _pair("frame.cpbd")),
    "mouth": Respect("MUSIQ", "sharpness of the lips", _pair("lip.sharpness")),
    "face": Respect("TOPIQ", "sharpness of the frame", _pair("frame.sharpness")),
    "lips": Respect(
        "lip dynamics", "deviation of the opening", _ratio("motion.lip_amplitude")
    ),
    "head": Respect(
        "head dynamics", "deviation of the head", _ratio("motion.head_amplitude")
    ),
    "brows": Respect(
        "brow dynamics", "deviation of the brows", _ratio("motion.brow_amplitude")
    ),
    "silence": Respect(
        "silent-lip stability", "lip motion in silence", _pair("motion.silence_motion")
    ),
    "sound": Respect(
        "opening against RMS", "the same", _pair("motion.loudness_correlation")
    ),
}


def parts(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """Nearness to the truth in each respect, in [0, 1]; None where it is unknown.

    Args:
      scores: of a clip by path.
    """
    return {name: _nearness(*one.values(scores)) for name, one in RESPECTS.items()}


def composite(parts: Mapping[str, float | None]) -> float | None:
    """Mean of the known parts; None if fewer than five are known."""
    known = [value for value in parts.values() if value is not None]
    return sum(known) / len(known) if len(known) >= _LEAST else None


def _nearness(value: float | None, truth: float | None) -> float | None:
    if value is None or not truth:
        return None
    # THEval's form has no lower end; there, lips that move in silence could outweigh
    # all other respects.
    return max(1 - abs(value - truth) / abs(truth), 0.0)
