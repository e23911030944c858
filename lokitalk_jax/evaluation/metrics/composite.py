"""One figure in the form of THEval: how near a video is to the truth in eight respects.

THEval (arXiv 2511.04520) takes for each respect 1 - |m - truth| / truth and averages
the eight. Three of its measures are networks that are not distributed here; stand-ins
without networks take their place, so the figure is ours and is not THEval's.
"""

from collections.abc import Callable, Mapping

_LEAST = 5  # respects; with fewer there is no composite
_Values = Callable[[Mapping[str, float | None]], tuple[float | None, float | None]]


def _pair(key: str) -> _Values:
    return lambda scores: (scores.get(key), scores.get(f"{key}_truth"))


def _ratio(key: str) -> _Values:
    return lambda scores: (scores.get(key), 1.0)


# The eight respects. Each gives the values of video and truth, None where they do not
# exist, for scores by their path; THEval's measure stands behind it.
RESPECTS = {
    "aesthetics": _pair("frame.cpbd"),  # TOPIQ-IAA
    "mouth": _pair("lip.sharpness"),  # MUSIQ
    "face": _pair("frame.sharpness"),  # TOPIQ
    "lips": _ratio("motion.lip_amplitude"),  # lip dynamics
    "head": _ratio("motion.head_amplitude"),  # head dynamics
    "brows": _ratio("motion.brow_amplitude"),  # brow dynamics
    "silence": _pair("motion.silence_motion"),  # silent-lip stability
    "sound": _pair("motion.loudness_correlation"),  # opening against RMS
}


def parts(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """Nearness to the truth in each respect, in [0, 1]; None where it is unknown.

    Args:
      scores: of a clip by path.
    """
    return {name: _nearness(*one(scores)) for name, one in RESPECTS.items()}


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
