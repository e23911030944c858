"""Chooses the stretch of a video that can become an identity."""

import itertools

import numpy as np

from lokitalk_jax.preparation import source_video, survey, timeline
from lokitalk_jax.preparation.survey import Survey


def trim(
    found: Survey, start: float, end: float | None
) -> tuple[Survey, float, float | None]:
    """Trims a video to its longest usable stretch, if that is long enough.

    Usable is a stretch without a cut in which the face is missing, or several are seen,
    as rarely as `survey.check` allows.

    Args:
      found: the survey of [start, end).
      start: seconds.
      end: the same, or None for the video's end.

    Returns:
      survey, start and end of the stretch; the arguments where nothing disturbs, or
      where no stretch is long enough.
    """
    sampled = survey.sample_times(found.times)
    if not len(sampled) or (not len(found.cuts) and _usable(found, sampled >= 0)):
        return found, start, end
    last = float(found.times[-1]) + timeline.spacing(found.times)
    edges = [float(found.times[0]), *found.cuts.tolist(), last]
    stretches = []
    for left, right in itertools.pairwise(edges):
        inside = (sampled >= left) & (sampled < right)
        if not _usable(found, inside):
            left, right = _longest_run(found, sampled, inside, left, right)
        stretches.append((left, right))
    left, right = max(stretches, key=lambda one: one[1] - one[0])
    if right - left < survey.MIN_SECONDS:
        return found, start, end
    frames, samples = (_within(t, left, right) for t in (found.times, sampled))
    kept = Survey(
        found.times[frames],
        found.changes[frames],
        found.cuts[:0],
        found.boxes[samples],
        found.rivals[samples],
    )
    return kept, left, right


def _within(times: np.ndarray, left: float, right: float) -> np.ndarray:
    clock = source_video.CLOCK
    return (times >= left - clock) & (times < right - clock)


def _usable(found: Survey, chosen: np.ndarray) -> bool:
    """Whether these samples [M] would pass `survey.check`."""
    if not chosen.any():
        return False
    faceless = np.isnan(found.boxes[chosen, 0]).mean()
    rivals = found.rivals[chosen].mean()
    return bool(faceless < survey.MAX_FACELESS and rivals < survey.RIVAL_SHARE)


def _longest_run(
    found: Survey, sampled: np.ndarray, inside: np.ndarray, left: float, right: float
) -> tuple[float, float]:
    """The longest part of a stretch whose samples all show one face."""
    good = inside & ~np.isnan(found.boxes[:, 0]) & ~found.rivals
    longest = left, left
    for is_good, group in itertools.groupby(np.flatnonzero(inside), good.__getitem__):
        if not is_good:
            continue
        run = list(group)
        # Frames between a good and a bad sample are not known to be good.
        at_begin = not inside[: run[0]].any()
        begin = left if at_begin else float(sampled[run[0]])
        at_end = not inside[run[-1] + 1 :].any()
        end = right if at_end else float(sampled[run[-1]])
        longest = max(longest, (begin, end), key=lambda one: one[1] - one[0])
    return longest
