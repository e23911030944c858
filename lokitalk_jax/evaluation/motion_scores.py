"""Scores of a clip's motion: lips, head and brows of all frames together."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from lokitalk_jax.evaluation.metrics import (
    closures,
    dynamics,
    lip_motion,
    mouth,
    silence,
)
from lokitalk_jax.evaluation.metrics.bootstrap import Statistic

MIN_FRAMES = 20  # shorter clips say nothing about motion


class SoundEvents(NamedTuple):
    """Events of the sound at each frame, [F] each.

    Attributes:
      silent: see `silence.silent_frames`.
      closing: see `closures.likely_frames`.
      loudness: root mean square of the samples, [F].
    """

    silent: np.ndarray
    closing: np.ndarray
    loudness: np.ndarray


def sound_events(samples: np.ndarray | None, frames: range) -> SoundEvents | None:
    """Events of the sound during some frames of a clip; None without sound.

    Args:
      samples: float [S], 16 kHz mono in [-1, 1], from the clip's frame 0 on.
      frames: frame numbers.
    """
    if samples is None:
        return None
    # Of the whole sound, as silence is relative to speech.
    count = max(frames.stop, -(-len(samples) // silence.FRAME_SAMPLES))
    events = (
        silence.silent_frames(samples, count),
        closures.likely_frames(samples, count),
        10 ** (silence.levels(samples, count) / 20),
    )
    return SoundEvents(*(one[frames.start : frames.stop] for one in events))


def statistics(
    truth: np.ndarray, prediction: np.ndarray, events: SoundEvents | None
) -> dict[str, Statistic]:
    """Scores by name of landmarks [F, 478, 3] of consecutive frames."""
    openings = mouth.openings(truth), mouth.openings(prediction)
    paths = dynamics.head_path(truth), dynamics.head_path(prediction)
    brows = dynamics.brow_heights(truth), dynamics.brow_heights(prediction)
    found = {
        "lip_correlation": lip_motion.correlation(*openings),
        "lip_concordance": lip_motion.concordance(*openings),
        "lip_amplitude": lip_motion.amplitude(*openings),
        "lip_lag_ms": lip_motion.lag_ms(*openings),
        "lip_speeds": dynamics.speed_difference(*openings),
        "head_amplitude": lip_motion.amplitude(*paths),
        "head_speeds": dynamics.speed_difference(*paths),
        "wobble": dynamics.wobble(paths[1]),
        "wobble_truth": dynamics.wobble(paths[0]),
        "brow_amplitude": lip_motion.amplitude(*brows),
        "brow_speeds": dynamics.speed_difference(*brows),
    }
    if events is not None:
        found |= {
            "silence_leakage": silence.leakage(*openings, events.silent),
            "silence_motion": silence.lip_motion(openings[1], events.silent),
            "silence_motion_truth": silence.lip_motion(openings[0], events.silent),
            "closure": closures.closure(*openings, events.closing),
            "loudness_correlation": lip_motion.correlation(
                events.loudness, openings[1]
            ),
            "loudness_correlation_truth": lip_motion.correlation(
                events.loudness, openings[0]
            ),
        }
    return found


def resampled(
    truth: np.ndarray,
    prediction: np.ndarray,
    events: SoundEvents | None,
    block: int,
    names: Collection[str],
) -> dict[str, np.ndarray]:
    """Some scores in resamples of the frames, by name; see `bootstrap.draws`.

    Args:
      truth, prediction, events, block: see `scores`.
      names: of the scores.

    Returns:
      [resamples] each, NaN where a score does not exist; empty for too few frames.
    """
    if len(truth) < MIN_FRAMES:
        return {}
    found = statistics(truth, prediction, events)
    drawn = {name: found[name].resampled(block) for name in names if name in found}
    return {name: values for name, values in drawn.items() if values is not None}


def scores(
    truth: np.ndarray, prediction: np.ndarray, events: SoundEvents | None, block: int
) -> tuple[dict, dict]:
    """Scores of the motion and their intervals, ready for JSON.

    Args:
      truth, prediction: landmarks [F, 478, 3] of consecutive frames, pixels; NaN in
        frames without a face.
      events: of the sound of these frames, or None.
      block: frames that make up a second.

    Returns:
      scores by name with the numbers of silent frames and of closures, and 95%
      intervals by name; None for those that do not exist.
    """
    if len(truth) < MIN_FRAMES:
        return {}, {}
    found = statistics(truth, prediction, events)
    values: dict = {name: one.value() for name, one in found.items()}
    intervals = {name: one.interval(block) for name, one in found.items()}
    for name, key in ("silence_leakage", "silent_frames"), ("closure", "closures"):
        if name in found:
            values[key] = int(found[name].terms[:, 1].sum())
    return values, intervals
