"""Scores of a clip from the scores of its frames, with confidence intervals.

The protocol is that of ER-NeRF, TalkingGaussian and InsTaG: a score of the whole frame
is the mean over frames, its PSNR the mean of the frames' PSNR. A region's size changes
from frame to frame, so its PSNR is that of its squared errors in all frames together.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lokitalk_jax.evaluation.metrics import bootstrap, psnr

# Scores of a frame by key; None for a score that does not exist.
Row = dict[str, float | None]


def clip_scores(rows: Sequence[Mapping[str, float | None]], block: int) -> dict:
    """Means of the frames' scores, ready for JSON.

    Args:
      rows: one for each frame; keys with a dot, such as lip.psnr, become nested. A key
        region.pixels weighs the other scores of that region. None is left out.
      block: frames that make up a second, at least 1.

    Returns:
      the means, nested, and under "intervals" their 95% bootstrap intervals
      [low, high], nested alike. None for a score that no frame has, and for the
      interval of fewer than four blocks.

    Raises:
      ValueError: there is no row, the rows differ in their keys, or a value is not
        finite.
    """
    if not rows:
        raise ValueError("rows is empty: no frame was scored; give at least one frame")
    _check(rows)
    means: dict = {}
    intervals: dict = {}
    for key in rows[0]:
        if key.endswith(".pixels"):
            continue
        total, weight = _sums(rows, key, block)
        back = psnr.from_mse if _pools(key) else float
        mean = back(total.sum() / weight.sum()) if weight.any() else None
        _nest(means, key, mean)
        interval = None
        drawn = _resampled(total, weight)
        if mean is not None and drawn is not None:
            low, high = bootstrap.percentiles(drawn[np.isfinite(drawn)])
            interval = sorted([back(low), back(high)])
        _nest(intervals, key, interval)
    return {**means, "intervals": intervals}


def resampled(
    rows: Sequence[Mapping[str, float | None]], key: str, block: int
) -> np.ndarray | None:
    """Means of a score in resamples of the frames, see `bootstrap.draws`.

    Args:
      rows, block: see `clip_scores`.
      key: of the score; no PSNR of a region.

    Returns:
      [resamples], NaN where a resample has no value; None for fewer than four blocks.
    """
    return _resampled(*_sums(rows, key, block))


def _resampled(total: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Resampled means of sums and weights [blocks]."""
    draws = bootstrap.draws(len(total))
    if draws is None:
        return None
    drawn, heavy = draws @ total, draws @ weight
    return np.divide(drawn, heavy, out=np.full_like(drawn, np.nan), where=heavy > 0)


def _check(rows: Sequence[Mapping[str, float | None]]) -> None:
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise ValueError(
                f"row {number} has the scores {sorted(row)}, the first row "
                f"{sorted(rows[0])}; give every frame the same"
            )
        bad = [k for k, v in row.items() if v is not None and not np.isfinite(v)]
        if bad:
            raise ValueError(f"row {number}: {bad} are not finite; give None for those")


def _pools(key: str) -> bool:
    """Whether errors are pooled: the PSNR of a region."""
    return key.endswith(".psnr") and not key.startswith("frame.")


def _sums(rows, key: str, block: int) -> tuple[np.ndarray, np.ndarray]:
    """For each block, the sum of a score times its weight, and of the weights."""
    values = [row[key] for row in rows]
    there = np.array([value is not None for value in values], float)
    values = np.array([0.0 if value is None else value for value in values])
    region = f"{key.partition('.')[0]}.pixels"
    if region in rows[0]:
        there *= [row[region] for row in rows]
    if _pools(key):
        values = 10 ** (-values / 10)
    starts = np.arange(0, len(rows), block)
    return np.add.reduceat(values * there, starts), np.add.reduceat(there, starts)


def _nest(tree: dict, key: str, value) -> None:
    *above, last = key.split(".")
    for name in above:
        tree = tree.setdefault(name, {})
    tree[last] = value
