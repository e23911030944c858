"""Learning curves: lists of points, each a dict of scores and their cost."""

import itertools


def cost_to(
    curve: list[dict], level: float, key: str = "head", cost: str = "cpu_seconds"
) -> float | None:
    """Cost until a score reaches a level, interpolated; None where it never does.

    Args:
      curve: in the order of the cost.
      level: of the score.
      key, cost: names of the score and of the cost.
    """
    if curve[0][key] >= level:
        return curve[0][cost]
    for before, point in itertools.pairwise(curve):
        if point[key] >= level:
            share = (level - before[key]) / (point[key] - before[key])
            return before[cost] + share * (point[cost] - before[cost])
    return None
