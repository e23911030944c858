"""How well does Audio2Motion predict the lips of a speaker whose lips it has not seen?

    python -m benchmarks.lips_from_speech --data=data/dev --sources=a,b,cd,ef

Each source of clips is left out in turn (some hold several clips); Audio2Motion learns
from the others and predicts the lips of the clips left out. The baseline is a ridge
regression on the same windows, which predicts the three distances themselves and whose
strength is chosen by leaving out sources of its training data. With --within, five
blocks of each clip are left out in turn instead, and training has only that clip; with
--helped, Audio2Motion also has the clips of all other sources, as with a prior. The
score is the correlation with three distances of the lips (inner and outer opening,
width) and the lag at which it is best; with --within the mean over the blocks, with the
95% interval of Audio2Motion's gain over the ridge.
"""

import json
import pathlib

import numpy as np
import scipy.stats
from absl import app, flags

from lokitalk_jax import files, process, structs
from lokitalk_jax.data import signals
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.speech import (
    audio2motion,
    clip_fitting,
    fitting,
    sound_features,
    spoken_clip,
    voice,
)

_BLOCKS, _GUARD = 5, 12  # frames next to a block that is left out are not learned from
_LAGS = np.arange(-12, 13)
_STRENGTHS = 10.0 ** np.arange(-3, 3)
# Of the 20 points of a lip contour: corners, middles of the upper and the lower lip.
_CORNERS, _UPPER, _LOWER = (0, 10), 5, 15


def distances(lips: np.ndarray) -> np.ndarray:
    """Inner opening, outer opening and width [F, 3] of lips [F, 120], metres."""
    outer, inner = np.split(lips.reshape(len(lips), 40, 3), 2, axis=1)
    pairs = (inner, _UPPER, _LOWER), (outer, _UPPER, _LOWER), (outer, *_CORNERS)
    return np.stack(
        [np.linalg.norm(p[:, i] - p[:, j], axis=-1) for p, i, j in pairs], 1
    )


def correlation(told: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's of each column."""
    told, true = told - told.mean(0), true - true.mean(0)
    spread = np.sqrt((told**2).sum(0) * (true**2).sum(0))
    return (told * true).sum(0) / np.maximum(spread, 1e-12)


def best_lag(told: np.ndarray, true: np.ndarray) -> int:
    """Frames by which `told` has to come later to fit best."""
    inside = slice(len(_LAGS), -len(_LAGS))
    found = [
        correlation(np.roll(told, lag, 0)[inside], true[inside]).mean() for lag in _LAGS
    ]
    return int(_LAGS[np.argmax(found)])


class Clip:
    """One clip: tracks, sound and the windows that both methods see."""

    def __init__(self, path: pathlib.Path, spec: audio2motion.Spec):
        """Reads an identity folder."""
        opened = IdentityFolder(path)
        self.name, self.path, self.audio = opened.name, path, opened.audio_path
        self.tracks: Tracks = opened.tracks()
        self.usable = self.tracks.valid & ~self.tracks.duplicate
        self.true = distances(self.tracks.lips.reshape(len(self.usable), -1))
        self.windows = audio2motion.windows(
            spec,
            sound_features.features(spoken_clip.samples(self), spec.hears),
            np.arange(len(self.usable)) * audio2motion.ROWS_PER_FRAME,
        )

    def learned_from(
        self, fitted: signals.Fitted, train: np.ndarray
    ) -> spoken_clip.SpokenClip:
        """What `voice` needs of the clip."""
        lip = signals.apply(fitted, self.name, self.tracks).lip
        train, test = np.flatnonzero(train), np.flatnonzero(~train)
        return spoken_clip.SpokenClip(
            self.name, self.audio, self.path, lip, train, test
        )


class Ridge:
    """Linear regression of unit-variance distances on windows."""

    def __init__(self, parts: list[tuple[Clip, np.ndarray]]):
        """Sums up what solving needs, for each (clip, frames to learn from)."""
        self._sums = {}
        for clip, rows in parts:
            x, y = clip.windows[rows].reshape(rows.sum(), -1), clip.true[rows]
            x, y = x - x.mean(0), (y - y.mean(0)) / y.std(0)
            self._sums[clip.name] = x.T @ x, x.T @ y, len(x), np.sum(x**2)

    def solve(self, names, strength: float) -> np.ndarray:
        """Weights learned from some clips; `strength` in mean variances of an input."""
        xx, xy, count, power = (
            sum(part) for part in zip(*(self._sums[n] for n in names), strict=True)
        )
        scale = power / count / len(xx)
        return np.linalg.solve(
            xx / count + strength * scale * np.eye(len(xx)), xy / count
        )


def ridge_of_others(clips: list[Clip], groups: dict[str, str], left_out: str):
    """Weights from all other groups, their strength chosen by leaving each out."""
    known = [c for c in clips if groups[c.name] != left_out]
    ridge = Ridge([(c, c.usable) for c in known])

    def score(strength: float) -> float:
        found = []
        for group in {groups[c.name] for c in known}:
            rest = [c.name for c in known if groups[c.name] != group]
            weights = ridge.solve(rest, strength)
            found += [
                correlation(told(c, weights)[c.usable], c.true[c.usable]).mean()
                for c in known
                if groups[c.name] == group
            ]
        return float(np.mean(found))

    return ridge.solve([c.name for c in known], max(_STRENGTHS, key=score))


def told(clip: Clip, weights: np.ndarray) -> np.ndarray:
    """What a regression tells of a clip's distances [F, 3]."""
    return clip.windows.reshape(len(clip.windows), -1) @ weights


def spoken(clip: Clip, made: voice.Voice, basis: np.ndarray, train: np.ndarray):
    """What Audio2Motion tells of a clip's distances [F, 3], its own lips at hand."""
    own = signals.fit({clip.name: clip.tracks}, {clip.name: train}, lip_basis=basis)
    mean, _ = audio2motion.apply(made.spec, made.params, clip.windows)
    return distances(own.lip_mean[0] + (mean * own.lip_scale[0]) @ own.lip_basis)


def spec_of() -> audio2motion.Spec:
    """The networks' sizes, for what is to be heard."""
    kind = _HEARS.value
    return audio2motion.Spec(hears=kind, inputs=sound_features.WIDTHS[kind])


def learn(
    clips: list[Clip], others: list[Clip], rows: dict[str, np.ndarray], seed: int
):
    """Audio2Motion from some clips and others that help, and its lip basis."""
    spec, options = spec_of(), fitting.FitOptions()
    fitted = signals.fit({c.name: c.tracks for c in [*clips, *others]}, rows)
    own, more = (
        [c.learned_from(fitted, rows[c.name]) for c in part] for part in (clips, others)
    )
    fitted_voice = clip_fitting.fit(own, more, spec, options, seed)
    return fitted_voice, fitted.lip_basis


def across(clips: list[Clip], groups: dict[str, str], seed: int) -> list[dict]:
    """Scores of each clip by what other sources taught."""
    rows = []
    for left_out in sorted(set(groups.values())):
        known = [c for c in clips if groups[c.name] != left_out]
        made, basis = learn(known, [], {c.name: c.usable for c in known}, seed)
        weights = ridge_of_others(clips, groups, left_out)
        for clip in clips:
            if groups[clip.name] == left_out:
                ways = {
                    "ours": spoken(clip, made, basis, clip.usable),
                    "ridge": told(clip, weights),
                }
                rows.append(scores(clip, ways))
                print(json.dumps(rows[-1]), flush=True)
    return rows


def within(clips: list[Clip], groups: dict[str, str], seed: int) -> list[dict]:
    """Scores of each clip by its own other blocks, block by block."""
    rows, gains = [], []
    for clip in clips:
        if _ONLY.value and clip.name not in _ONLY.value:
            continue
        helpers = [c for c in clips if groups[c.name] != groups[clip.name]]
        helpers = helpers if _HELPED.value else []
        frames = np.arange(len(clip.usable))
        block = frames * _BLOCKS // len(frames)
        found = {"ours": [], "ridge": []}
        for left_out in range(_BLOCKS):
            ends = frames[block == left_out][[0, -1]]
            far = (frames < ends[0] - _GUARD) | (frames > ends[1] + _GUARD)
            train, out = clip.usable & far, clip.usable & (block == left_out)
            known = {c.name: c.usable for c in helpers} | {clip.name: train}
            made, basis = learn([clip], helpers, known, seed)
            ways = {
                "ours": spoken(clip, made, basis, train),
                "ridge": told(clip, _ridge_of_blocks(clip, train, block)),
            }
            for way, one in ways.items():
                found[way].append(correlation(one[out], clip.true[out]).mean())
        row = {"clip": clip.name, "frames": int(clip.usable.sum())}
        for way, each in found.items():
            row[way] = [round(float(value), 3) for value in each]
            row[f"{way}_mean"] = round(float(np.mean(each)), 3)
        gains.append(np.subtract(found["ours"], found["ridge"]))
        row |= gained(gains[-1])
        rows.append(row)
        print(json.dumps(row), flush=True)
    print("all blocks", gained(np.concatenate(gains)))
    return rows


def gained(each: np.ndarray) -> dict[str, float]:
    """Mean of gains [M] of blocks, and half its 95% interval by Student's t."""
    half = scipy.stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5
    return {"gain": round(float(each.mean()), 3), "gain_95": round(float(half), 3)}


def _ridge_of_blocks(clip: Clip, train: np.ndarray, block: np.ndarray) -> np.ndarray:
    def score(strength: float) -> float:
        found = []
        for inner in np.unique(block[train]):
            rest, out = train & (block != inner), train & (block == inner)
            weights = Ridge([(clip, rest)]).solve([clip.name], strength)
            found.append(correlation(told(clip, weights)[out], clip.true[out]).mean())
        return float(np.mean(found))

    return Ridge([(clip, train)]).solve([clip.name], max(_STRENGTHS, key=score))


def scores(clip: Clip, ways: dict[str, np.ndarray]) -> dict:
    """Correlations and lags of a clip, by method."""
    row = {"clip": clip.name, "frames": int(clip.usable.sum())}
    for way, found in ways.items():
        each = correlation(found[clip.usable], clip.true[clip.usable])
        row[way] = [round(float(value), 3) for value in each]
        row[f"{way}_mean"] = round(float(each.mean()), 3)
        row[f"{way}_lag_ms"] = best_lag(found, clip.true) * 1000 // structs.FPS
    return row


def main(_) -> None:
    """Measures, and writes the figures."""
    out, data = pathlib.Path(_OUT.value), pathlib.Path(_DATA.value)
    spec = spec_of()
    names = [source.split("+") for source in _SOURCES.value.split(",")]
    groups = {name: source[0] for source in names for name in source}
    clips = [Clip(data / name, spec) for name in groups]
    kind = "within" if _WITHIN.value else "across"
    rows = within(clips, groups, 0) if _WITHIN.value else across(clips, groups, 0)
    for way in ("ours", "ridge"):
        print(way, round(float(np.mean([r[f"{way}_mean"] for r in rows])), 3))
    out.mkdir(parents=True, exist_ok=True)
    with files.replacing(out / f"{kind}.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _SOURCES = flags.DEFINE_string(
        "sources", None, "Names of identities, those of one source joined by +."
    )
    _OUT = flags.DEFINE_string("out", "runs/audio2motion", "Figures.")
    _HEARS = flags.DEFINE_enum(
        "hears", "phones", list(sound_features.WIDTHS), "What is heard in the sound."
    )
    _ONLY = flags.DEFINE_list("only", [], "With --within: score these alone.")
    _HELPED = flags.DEFINE_bool("helped", False, "With --within: others help.")
    _WITHIN = flags.DEFINE_bool("within", False, "Leave out blocks of each clip.")
    flags.mark_flags_as_required(["data", "sources"])
    process.start()
    app.run(main)
