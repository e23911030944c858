"""Ridge regression of lip coefficients on windows of feature rows.

Least squares predict lips that move less than true ones, so the solution is scaled, for
each coefficient, by the ratio of true and predicted spread on clips that were left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lokitalk_jax.speech import audio2motion
from lokitalk_jax.speech.audio2motion import Spec

# Strength, in units of the mean variance of an input. On six clips the correlation is
# the same to 0.002 from 0.1 to 1.
STRENGTH = 0.3
# Strength with which a fit is drawn to its start, in frames of the same speech: ten
# minutes. Twenty seconds of a speaker then change the correlation on the rest of their
# clip by 0.01 at most; drawn to it less, they spoil it.
_PULL = 15_000
_FOLDS = 5
_LEAST_SPREAD = 1e-6
_HIGHEST_GAIN = 4.0  # of what hardly follows the sound


class Lesson(NamedTuple):
    """Training data of one clip.

    Attributes:
      rows: [T, inputs], its feature rows.
      windows: [F, W, inputs], around the frames to train on.
      lip: [F, D_lip], tracked coefficients of these.
      weight: how many times each frame counts.
    """

    rows: np.ndarray
    windows: np.ndarray
    lip: np.ndarray
    weight: float = 1.0


class _Sums(NamedTuple):
    """Sums over frames: products of inputs, of inputs and lips, and the count."""

    xx: np.ndarray
    xy: np.ndarray
    count: float

    def __add__(self, other: "_Sums") -> "_Sums":  # type: ignore[override]
        return _Sums(self.xx + other.xx, self.xy + other.xy, self.count + other.count)

    def __sub__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.xx - other.xx, self.xy - other.xy, self.count - other.count)


def fit(spec: Spec, lessons: Sequence[Lesson], start: dict | None = None) -> dict:
    """Parameters of Audio2Motion, see `audio2motion.init`.

    Args:
      spec: sizes.
      lessons: with at least two frames each.
      start: parameters that the regression is drawn to instead of zero; their
        components are kept.
    """
    projection = _projection(spec, lessons) if start is None else start
    lessons = [_centred(projection, lesson) for lesson in lessons]
    if start is not None:
        return _moved(start, lessons)
    parts = [_sums(one) for one in lessons]
    total = _total(parts)
    gain = _gain(lessons, parts, total)
    kernel = _solve(total) * gain
    shape = len(spec.offsets), -1, kernel.shape[-1]
    bias = np.zeros(kernel.shape[-1])
    found = projection | {"kernel": kernel.reshape(shape), "bias": bias}
    return {name: np.float32(leaf) for name, leaf in found.items()}


def _projection(spec: Spec, lessons: Sequence[Lesson]) -> dict:
    """Mean and principal components of standardised feature rows."""
    rows = np.concatenate([one.rows for one in lessons]).astype(np.float64)
    centre, spread = rows.mean(0), rows.std(0) + 1e-6
    rows = (rows - centre) / spread
    directions = np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, : spec.components]
    return {"centre": centre, "projection": directions / spread[:, None]}


def _centred(projection: dict, lesson: Lesson) -> Lesson:
    """The lesson with flat components [F, K]; means of inputs and lips are removed."""
    inputs = audio2motion.components(projection, lesson.windows)
    inputs = inputs.reshape(len(inputs), -1).astype(np.float64)
    lip = lesson.lip.astype(np.float64)
    return lesson._replace(windows=inputs - inputs.mean(0), lip=lip - lip.mean(0))


def _sums(lesson: Lesson) -> _Sums:
    x, weight = lesson.windows, lesson.weight
    return _Sums(weight * x.T @ x, weight * x.T @ lesson.lip, weight * len(x))


def _total(parts: Sequence[_Sums]) -> _Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _solve(sums: _Sums) -> np.ndarray:
    """The kernel [K, D_lip]."""
    size = len(sums.xx)
    stiffness = STRENGTH * np.trace(sums.xx) / size
    return np.linalg.solve(sums.xx + stiffness * np.eye(size), sums.xy)


def _gain(
    lessons: Sequence[Lesson], parts: Sequence[_Sums], total: _Sums
) -> np.ndarray:
    """Ratio [D_lip] of true and predicted spread on clips that were left out."""
    if len(lessons) < _FOLDS:
        lessons = [piece for one in lessons for piece in _pieces(one)]
        parts = [_sums(one) for one in lessons]
    true, predicted = 0.0, 0.0
    for fold in range(_FOLDS):
        known = total - _total(parts[fold::_FOLDS])
        kernel = _solve(known)
        for lesson in lessons[fold::_FOLDS]:
            true = true + lesson.weight * (lesson.lip**2).sum(0)
            found = lesson.windows @ kernel
            predicted = predicted + lesson.weight * (found**2).sum(0)
    ratio = np.sqrt(true / np.maximum(predicted, _LEAST_SPREAD**2))
    return np.clip(ratio, 1, _HIGHEST_GAIN)


def _pieces(lesson: Lesson) -> list[Lesson]:
    cut = zip(
        np.array_split(lesson.windows, _FOLDS),
        np.array_split(lesson.lip, _FOLDS),
        strict=True,
    )
    return [lesson._replace(windows=x, lip=y) for x, y in cut]


def _moved(start: dict, lessons: Sequence[Lesson]) -> dict:
    """`start` with a kernel that is fitted to the lessons too."""
    first = start["kernel"].reshape(-1, start["kernel"].shape[-1])
    found = [one.windows @ first for one in lessons]
    # Its lips have the spread of true ones, and least squares need smaller ones.
    product = sum(np.sum(x * one.lip) for x, one in zip(found, lessons, strict=True))
    power = sum(np.sum(x**2) for x in found)
    share = np.clip(product / max(power, _LEAST_SPREAD**2), 0.2, 1)
    left = [
        one._replace(lip=one.lip - share * x)
        for x, one in zip(found, lessons, strict=True)
    ]
    sums = _total([_sums(one) for one in left])
    stiffness = _PULL * np.trace(sums.xx) / sums.count / len(first)
    change = np.linalg.solve(sums.xx + stiffness * np.eye(len(first)), sums.xy)
    kernel = (first + change / share).reshape(start["kernel"].shape)
    return start | {"kernel": np.float32(kernel)}
