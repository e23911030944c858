"""One figure in the form of THEval: how near a video is to the truth in eight respects.

THEval (arXiv 2511.04520) takes for each respect 1 - |m - truth| / truth and averages
the eight. Three of its measures are networks that are not distributed here; stand-ins
without networks take their place, so the figure is ours and is not THEval's.
"""

from collections.abc import Mapping

import numpy as np

from lokitalk_jax.evaluation.metrics import bootstrap

_LEAST = 5  # respects; with fewer there is no composite

# The eight respects: paths of the scores of video and truth, None where the score is
# already relative to the truth's. THEval's measure stands behind them.
RESPECTS = {
    "aesthetics": ("frame.cpbd", "frame.cpbd_truth"),  # TOPIQ-IAA
    "mouth": ("lip.sharpness", "lip.sharpness_truth"),  # MUSIQ
    "face": ("frame.sharpness", "frame.sharpness_truth"),  # TOPIQ
    "lips": ("motion.lip_amplitude", None),  # lip dynamics
    "head": ("motion.head_amplitude", None),  # head dynamics
    "brows": ("motion.brow_amplitude", None),  # brow dynamics
    # Silent-lip stability; opening against root mean square.
    "silence": ("motion.silence_motion", "motion.silence_motion_truth"),
    "sound": ("motion.loudness_correlation", "motion.loudness_correlation_truth"),
}
KEYS = [key for pair in RESPECTS.values() for key in pair if key]


def parts(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """Nearness to the truth in each respect, in [0, 1]; None where it is unknown.

    Args:
      scores: of a clip by path.
    """
    return {
        name: _nearness(scores.get(key), scores.get(truth) if truth else 1.0)
        for name, (key, truth) in RESPECTS.items()
    }


def composite(parts: Mapping[str, float | None]) -> float | None:
    """Mean of the known parts; None if fewer than five are known."""
    known = [value for value in parts.values() if value is not None]
    return sum(known) / len(known) if len(known) >= _LEAST else None


def interval(
    resampled: Mapping[str, np.ndarray], known: Mapping[str, float | None]
) -> list[float] | None:
    """95% interval [low, high] of the composite; None if there is none.

    Args:
      resampled: scores by path, [R] for R resamples of the same frames; NaN where a
        score does not exist.
      known: parts of all frames; unknown ones are left out of every resample.
    """
    if composite(known) is None or not resampled:
        return None
    drawn = []
    for values in zip(*resampled.values(), strict=True):
        scores = {
            key: None if np.isnan(value) else float(value)
            for key, value in zip(resampled, values, strict=True)
        }
        of = parts(scores)
        drawn.append(composite({k: of[k] for k in known if known[k] is not None}))
    there = [value for value in drawn if value is not None]
    return bootstrap.percentiles(np.array(there)) if there else None


def _nearness(value: float | None, truth: float | None) -> float | None:
    if value is None or not truth:
        return None
    # THEval's form has no lower end; there, lips that move in silence could outweigh
    # all other respects.
    return max(1 - abs(value - truth) / abs(truth), 0.0)
