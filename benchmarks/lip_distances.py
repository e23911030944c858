"""Distances between the lips of clips, and a ridge regression that predicts them."""

import pathlib
from collections.abc import Iterable

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import signals
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.speech import audio2motion, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip

LAGS = np.arange(-12, 13)  # frames
STRENGTHS = 10.0 ** np.arange(-3, 3)  # of the ridge
# Of the 20 points of a lip contour: corners, middles of the upper and the lower lip.
_CORNERS, _UPPER, _LOWER = (0, 10), 5, 15


def distances(lips: np.ndarray) -> np.ndarray:
    """Inner opening, outer opening and width [F, 3] of lips [F, 120], metres."""
    outer, inner = np.split(lips.reshape(len(lips), 40, 3), 2, axis=1)
    pairs = (inner, _UPPER, _LOWER), (outer, _UPPER, _LOWER), (outer, *_CORNERS)
    return np.stack(
        [np.linalg.norm(p[:, i] - p[:, j], axis=-1) for p, i, j in pairs], 1
    )


def correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's of each column."""
    predicted, true = predicted - predicted.mean(0), true - true.mean(0)
    spread = np.sqrt((predicted**2).sum(0) * (true**2).sum(0))
    return (predicted * true).sum(0) / np.maximum(spread, 1e-12)


def best_lag_ms(predicted: np.ndarray, true: np.ndarray) -> int:
    """Delay of the prediction, milliseconds, with the highest correlation."""
    inside = slice(len(LAGS), -len(LAGS))
    found = [
        correlation(np.roll(predicted, lag, 0)[inside], true[inside]).mean()
        for lag in LAGS
    ]
    return int(LAGS[np.argmax(found)]) * 1000 // structs.FPS


class Clip:
    """A clip of an identity folder.

    Attributes:
      name: of its identity.
      tracks, usable: its tracks, and bool [F], frames with a face that do not repeat.
      true: tracked distances [F, 3].
      windows: of feature rows, [F, W, inputs].
    """

    def __init__(self, path: pathlib.Path, spec: audio2motion.Spec):
        """Reads the folder; `spec` are sizes of the network."""
        opened = IdentityFolder(path)
        self.name, self._path, self._audio = opened.name, path, opened.audio_path
        self.tracks: Tracks = opened.tracks()
        self.usable = self.tracks.valid & ~self.tracks.duplicate
        lips = self.tracks.lips.reshape(len(self.usable), -1)
        self.true = distances(lips)
        everything = np.arange(len(lips))
        self.windows = spoken_clip.windows(
            spec,
            SpokenClip(self.name, self._audio, path, lips, everything, everything[:0]),
        )

    def training_data(self, fitted: signals.Fitted, train: np.ndarray) -> SpokenClip:
        """The clip with lips in the basis of `fitted`, to train on frames `train`."""
        lip = signals.apply(fitted, self.name, self.tracks).lip
        frames = np.flatnonzero(train), np.flatnonzero(~train)
        return SpokenClip(self.name, self._audio, self._path, lip, *frames)

    def by_ridge(self, weights: np.ndarray) -> np.ndarray:
        """Distances [F, 3] that a regression predicts."""
        return self.windows.reshape(len(self.windows), -1) @ weights


class Ridge:
    """Linear regression of unit-variance distances on windows."""

    def __init__(self, parts: Iterable[tuple[Clip, np.ndarray]]):
        """Sums products over (clip, bool [F] training frames)."""
        self._sums = {}
        for clip, rows in parts:
            x, y = clip.windows[rows].reshape(rows.sum(), -1), clip.true[rows]
            x, y = x - x.mean(0), (y - y.mean(0)) / y.std(0)
            self._sums[clip.name] = x.T @ x, x.T @ y, len(x), np.sum(x**2)

    def solve(self, names: Iterable[str], strength: float) -> np.ndarray:
        """Weights from some clips; `strength` in mean variances of an input."""
        xx, xy, count, power = (
            sum(part) for part in zip(*(self._sums[n] for n in names), strict=True)
        )
        scale = power / count / len(xx)
        return np.linalg.solve(
            xx / count + strength * scale * np.eye(len(xx)), xy / count
        )


def ridge_without(clips: list[Clip], groups: dict[str, str], group: str) -> np.ndarray:
    """Weights from all other groups; their strength is chosen by leaving each out."""
    known = [clip for clip in clips if groups[clip.name] != group]
    ridge = Ridge((clip, clip.usable) for clip in known)

    def score(strength: float) -> float:
        found = []
        for inner in {groups[clip.name] for clip in known}:
            rest = [clip.name for clip in known if groups[clip.name] != inner]
            weights = ridge.solve(rest, strength)
            found += [
                correlation(clip.by_ridge(weights)[clip.usable], clip.true[clip.usable])
                for clip in known
                if groups[clip.name] == inner
            ]
        return float(np.mean(found))

    return ridge.solve([clip.name for clip in known], max(STRENGTHS, key=score))


def ridge_of_blocks(clip: Clip, train: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Weights from some frames of a clip; their strength is chosen by blocks of them.

    Args:
      clip: the clip.
      train: bool [F], training frames.
      block: [F], number of each frame's block.
    """

    def score(strength: float) -> float:
        found = []
        for inner in np.unique(block[train]):
            rest, out = train & (block != inner), train & (block == inner)
            weights = Ridge([(clip, rest)]).solve([clip.name], strength)
            found.append(correlation(clip.by_ridge(weights)[out], clip.true[out]))
        return float(np.mean(found))

    return Ridge([(clip, train)]).solve([clip.name], max(STRENGTHS, key=score))
