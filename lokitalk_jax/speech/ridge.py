"""Ridge regression of lip coefficients on windows of feature rows.

Clips differ in how well their lips follow their sound: some are out of step, dubbed or
badly tracked. Each clip is first predicted by a regression to the others, and counts by
the correlation. Least squares predict lips that move less than true ones,
so the solution is scaled by the ratio of true and predicted spread of clips that were
left out. The ratio is one for all coefficients: a larger one for those that the sound
hardly determines would only enlarge their error.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg

from lokitalk_jax.speech import audio2motion
from lokitalk_jax.speech.audio2motion import Spec

# Strength, in units of the mean variance of an input. On six clips the correlation is
# the same to 0.002 from 0.1 to 1.
STRENGTH = 1.0
# Strength with which a fit is drawn to its start, in frames of the same speech: ten
# minutes. Twenty seconds of a speaker then change the correlation on the rest of their
# clip by 0.01 at most; drawn to it less, they spoil it.
_PULL = 15_000
_FOLDS = 5
_LEAST_SPREAD = 1e-6
_HIGHEST_GAIN = 4.0  # for lips that hardly follow the sound


class Lesson(NamedTuple):
    """Training data of one clip.

    Attributes:
      rows: [T, inputs], its feature rows.
      times: [F], of the frames to train on, in rows.
      lip: [F, D_lip], tracked coefficients of these.
      weight: how many times each frame counts.
    """

    rows: np.ndarray
    times: np.ndarray
    lip: np.ndarray
    weight: float = 1.0


class _Centred(NamedTuple):
    """A lesson as inputs [F, K] and lips [F, D_lip] without their means."""

    inputs: np.ndarray
    lip: np.ndarray
    weight: float


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
    known = [_centred(spec, projection, lesson) for lesson in lessons]
    if start is not None:
        return _moved(start, known)
    if len(known) < _FOLDS:
        known = [piece for one in known for piece in _pieces(one)]
    else:
        known = _trusted(known)
    folds = _folds(known)
    kernel = _solve(_total(folds)) * _gain(known, _left_out(known, folds))
    shape = len(spec.offsets), -1, kernel.shape[-1]
    bias = np.zeros(kernel.shape[-1])
    found = projection | {"kernel": kernel.reshape(shape), "bias": bias}
    return {name: np.float32(leaf) for name, leaf in found.items()}


def _projection(spec: Spec, lessons: Sequence[Lesson]) -> dict:
    """Mean and principal components of standardised feature rows."""
    count = sum(len(one.rows) for one in lessons)
    centre = sum(one.rows.sum(0, dtype=np.float64) for one in lessons) / count
    product: np.ndarray | float = 0.0
    for one in lessons:
        rows = one.rows - centre
        product = product + rows.T @ rows
    spread = np.sqrt(np.diag(product) / count) + 1e-6
    product = product / spread[:, None] / spread[None]
    directions = np.linalg.eigh(product)[1][:, ::-1][:, : spec.components]
    return {"centre": centre, "projection": directions / spread[:, None]}


def _centred(spec: Spec, projection: dict, lesson: Lesson) -> _Centred:
    rows = audio2motion.components(projection, lesson.rows[:, None])[:, 0]
    rows = np.asarray(rows, np.float32)
    inputs = audio2motion.windows(spec, rows, lesson.times)
    inputs = inputs.reshape(len(inputs), -1)
    lip = np.asarray(lesson.lip, np.float32)
    return _Centred(inputs - inputs.mean(0), lip - lip.mean(0), lesson.weight)


def _sums(one: _Centred) -> _Sums:
    x, weight = one.inputs, one.weight
    return _Sums(weight * (x.T @ x), weight * (x.T @ one.lip), weight * len(x))


def _total(parts: Sequence[_Sums]) -> _Sums:
    total = _Sums(np.zeros(()), np.zeros(()), 0)
    for part in parts:
        total = total + part
    return total


def _folds(known: Sequence[_Centred]) -> list[_Sums]:
    """Sums over each of five folds of the lessons."""
    return [_total([*map(_sums, known[n::_FOLDS])]) for n in range(_FOLDS)]


def _solve(sums: _Sums) -> np.ndarray:
    """The kernel [K, D_lip]."""
    size = len(sums.xx)
    stiffness = STRENGTH * np.trace(sums.xx) / size
    return scipy.linalg.solve(
        sums.xx + stiffness * np.eye(size), sums.xy, assume_a="pos"
    )


def _left_out(known: Sequence[_Centred], folds: Sequence[_Sums]) -> list[np.ndarray]:
    """Lips [F, D_lip] of each lesson, predicted without its fold."""
    total = _total(folds)
    kernels = [np.float32(_solve(total - one)) for one in folds]
    return [one.inputs @ kernels[n % _FOLDS] for n, one in enumerate(known)]


def _trusted(known: Sequence[_Centred]) -> list[_Centred]:
    """Lessons weighted by the correlation of their lips with predicted ones."""
    shares = []
    for one, found in zip(known, _left_out(known, _folds(known)), strict=True):
        power = np.sqrt(np.sum(found**2) * np.sum(one.lip**2))
        shares.append(max(np.sum(found * one.lip) / max(power, 1e-12), 0))
    if not any(shares):  # lips of none follow the sound
        return list(known)
    return [
        one._replace(weight=float(one.weight * share))
        for one, share in zip(known, shares, strict=True)
    ]


def _gain(known: Sequence[_Centred], left_out: Sequence[np.ndarray]) -> float:
    """Ratio of true and predicted spread."""
    true = sum(one.weight * np.sum(one.lip**2) for one in known)
    predicted = sum(
        one.weight * np.sum(x**2) for one, x in zip(known, left_out, strict=True)
    )
    ratio = np.sqrt(true / max(predicted, _LEAST_SPREAD**2))
    return float(np.clip(ratio, 1, _HIGHEST_GAIN))


def _pieces(one: _Centred) -> list[_Centred]:
    cut = zip(
        np.array_split(one.inputs, _FOLDS),
        np.array_split(one.lip, _FOLDS),
        strict=True,
    )
    return [_Centred(x, y, one.weight) for x, y in cut]


def _moved(start: dict, known: Sequence[_Centred]) -> dict:
    """`start` with a kernel that is fitted to more clips too."""
    first = start["kernel"].reshape(-1, start["kernel"].shape[-1])
    found = [one.inputs @ first for one in known]
    # Its lips have the spread of true ones, and least squares need smaller ones.
    product = sum(np.sum(x * one.lip) for x, one in zip(found, known, strict=True))
    power = sum(np.sum(x**2) for x in found)
    share = np.clip(product / max(power, _LEAST_SPREAD**2), 0.2, 1)
    left = [
        one._replace(lip=one.lip - share * x)
        for x, one in zip(found, known, strict=True)
    ]
    sums = _total([*map(_sums, left)])
    stiffness = _PULL * np.trace(sums.xx) / sums.count / len(first)
    change = np.linalg.solve(sums.xx + stiffness * np.eye(len(first)), sums.xy)
    kernel = (first + change / share).reshape(start["kernel"].shape)
    return start | {"kernel": np.float32(kernel)}
