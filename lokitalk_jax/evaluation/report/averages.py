"""Means of several clips' scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from lokitalk_jax.evaluation.report.clip import Clip

_FACTS = ("coding", "size")  # kept where all clips share them


def by_driver(clips: Sequence[Clip]) -> list[Clip]:
    """For each driver of several clips, their mean; a clip without frames.

    A score that a clip does not have is the mean of the others.
    """
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.driven_by, []).append(clip)
    return [
        Clip(
            f"mean of {len(mine)} clips",
            driven_by,
            {**_mean([one.scores for one in mine]), "intervals": {}},
            [],
            [],
        )
        for driven_by, mine in found.items()
        if len(mine) > 1
    ]


def _mean(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = dict.fromkeys(key for tree in trees for key in tree if key != "intervals")
    means: dict[str, Any] = {}
    for key in keys:
        values = [tree[key] for tree in trees if tree.get(key) is not None]
        if key in _FACTS:
            means[key] = values[0] if len(set(values)) == 1 else None
        elif all(isinstance(one, Mapping) for one in values):
            means[key] = _mean(values) if values else None
        elif all(type(one) in (int, float) for one in values):
            means[key] = sum(values) / len(values)
    return means
