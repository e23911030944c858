"""Lays a video of any frame rate on the project's 25 fps grid."""

from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.preparation import frame_change, source_video


class Timeline(NamedTuple):
    """The source frame shown at each tick of the 25 fps grid.

    Attributes:
      source: int [F], index into what `decode` yields.
      duplicate: bool [F], the frame repeats the frame before it.
      start: time of tick 0, seconds.
    """

    source: np.ndarray
    duplicate: np.ndarray
    start: float


def lay_out(
    times: np.ndarray,
    changes: np.ndarray,
    start: float = 0.0,
    end: float | None = None,
) -> Timeline:
    """Lays source frames on the 25 fps grid: the newest at or before each tick.

    A video of about 30 fps may hold 25 (one frame in six is a repeat). Its repeats are
    dropped first and the other five spread evenly over the six places, so that no true
    frame is lost and none is shown twice.

    Args:
      times: [S], of the source frames, ascending seconds.
      changes: [S], worst-block change from the frame before; the first is ignored.
      start: time of the first tick; the time of the first frame, if that is later.
      end: ticks stop before it; by default the end of the last frame.
    """
    times = np.asarray(times, np.float64)
    repeated = frame_change.repeats(changes)
    kept = np.arange(len(times))
    first = max(start, times[0])
    last = times[-1] + spacing(times)
    if end is not None:
        last = min(last, end)
    if _holds_25_in_30(times, repeated):
        kept, times = _drop_pulldown(times, repeated)
    count = max(
        1, int((last - first) * structs.FPS + 0.5 * structs.FPS * source_video.CLOCK)
    )
    ticks = first + np.arange(count) / structs.FPS
    place = np.searchsorted(times, ticks + source_video.CLOCK, side="right") - 1
    source = kept[np.maximum(place, 0)]
    # A frame is new if any source frame since the previous tick is new.
    fresh = np.cumsum(~repeated)[source]
    duplicate = np.concatenate([[False], np.diff(fresh) == 0])
    return Timeline(source, duplicate, float(first))


def spacing(times: np.ndarray) -> float:
    """Median seconds from one frame to the next, of times [S]."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1 / structs.FPS


def _holds_25_in_30(times: np.ndarray, repeated: np.ndarray) -> bool:
    if len(times) < 12 or not 29 < 1 / spacing(times) < 31:
        return False
    counts = repeated[: len(times) // 6 * 6].reshape(-1, 6).sum(1)
    moving = counts < 4
    return np.sum(counts == 1) > 0.7 * np.sum(moving) > 0


def _drop_pulldown(times, repeated):
    """Indices of five frames of each cycle of six, and their evenly spread times."""
    kept, spread = [], []
    step = spacing(times)
    for begin in range(0, len(times), 6):
        cycle = np.arange(begin, min(begin + 6, len(times)))
        if len(cycle) == 6:
            # Without a repeat, the last frame of the cycle before was shown twice.
            cycle = np.delete(cycle, np.argmax(repeated[cycle]))
        kept.extend(cycle)
        spread.extend(times[begin] + step * 6 / 5 * np.arange(len(cycle)))
    return np.array(kept), np.array(spread)
