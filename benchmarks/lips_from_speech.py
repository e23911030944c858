"""How well does Audio2Motion predict the lips of a speaker whose lips it has not seen?

    python -m benchmarks.lips_from_speech --data=data/dev --sources=a,b,c+d,e+f

Each source of clips is left out in turn (some hold several clips); Audio2Motion learns
from the others and predicts the lips of the clips left out. The baseline is a ridge
regression on the same windows, which predicts the three distances themselves and whose
strength is chosen by leaving out sources of its training data. With --within, five
blocks of each clip are left out in turn instead, and training has only that clip; with
--others, Audio2Motion also has the clips of all other sources, as with a prior. The
score is the correlation with three distances of the lips (inner and outer opening,
width) and the lag at which it is best; with --within the mean over the blocks, with the
95% interval of Audio2Motion's gain over the ridge.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from absl import app, flags

from benchmarks import reports
from benchmarks.lip_distances import (
    Clip,
    best_lag_ms,
    correlation,
    distances,
    ridge_of_blocks,
    ridge_without,
)
from lokitalk_jax import process
from lokitalk_jax.data import signals
from lokitalk_jax.speech import audio2motion, clip_fitting, fitting, sound_features
from lokitalk_jax.speech.voice import Voice

_BLOCKS, _GUARD = 5, 12  # frames next to a block that is left out are not learned from


class Model(NamedTuple):
    """A trained Audio2Motion and the lip basis [D_lip, 120] of its training."""

    voice: Voice
    lip_basis: np.ndarray

    def predict(self, clip: Clip, train: np.ndarray) -> np.ndarray:
        """Distances [F, 3] of a clip, with mean and scales of its frames `train`."""
        fitted = signals.fit(
            {clip.name: clip.tracks}, {clip.name: train}, lip_basis=self.lip_basis
        )
        spec, params, _ = self.voice
        mean, _ = audio2motion.apply(spec, params, clip.windows)
        lips = (mean * fitted.lip_scale[0]) @ fitted.lip_basis
        return distances(fitted.lip_mean[0] + lips)


def train(
    spec: audio2motion.Spec,
    clips: Sequence[Clip],
    others: Sequence[Clip],
    rows: dict[str, np.ndarray],
    seed: int = 0,
) -> Model:
    """Trains Audio2Motion.

    Args:
      spec: sizes of the network.
      clips: oversampled clips.
      others: clips of other speakers.
      rows: by name, bool [F], training frames.
      seed: of the training.
    """
    fitted = signals.fit({c.name: c.tracks for c in [*clips, *others]}, rows)
    own, more = (
        [clip.training_data(fitted, rows[clip.name]) for clip in part]
        for part in (clips, others)
    )
    voice = clip_fitting.fit(own, more, spec, fitting.FitOptions(), seed)
    return Model(voice, fitted.lip_basis)


def across(
    spec: audio2motion.Spec, clips: list[Clip], groups: dict[str, str]
) -> list[dict]:
    """Scores of each clip by models of the other sources."""
    rows = []
    for group in sorted(set(groups.values())):
        known = [clip for clip in clips if groups[clip.name] != group]
        model = train(spec, known, [], {clip.name: clip.usable for clip in known})
        weights = ridge_without(clips, groups, group)
        for clip in clips:
            if groups[clip.name] == group:
                predicted = {
                    "ours": model.predict(clip, clip.usable),
                    "ridge": clip.by_ridge(weights),
                }
                rows.append(scores(clip, predicted))
                print(json.dumps(rows[-1]), flush=True)
    return rows


def scores(clip: Clip, predicted: dict[str, np.ndarray]) -> dict:
    """Correlations and lags of a clip, by method."""
    row = {"clip": clip.name, "frames": int(clip.usable.sum())}
    for method, found in predicted.items():
        each = correlation(found[clip.usable], clip.true[clip.usable])
        row[method] = [round(float(value), 3) for value in each]
        row[f"{method}_mean"] = round(float(each.mean()), 3)
        row[f"{method}_lag_ms"] = best_lag_ms(found, clip.true)
    return row


def within(
    spec: audio2motion.Spec, clips: list[Clip], others: dict[str, list[Clip]]
) -> list[dict]:
    """Scores of each clip by models of its other blocks, block by block.

    Args:
      spec: sizes of the network.
      clips: to score.
      others: by name, clips that Audio2Motion is trained on as well.
    """
    rows, gains = [], []
    for clip in clips:
        frames = np.arange(len(clip.usable))
        block = frames * _BLOCKS // len(frames)
        found = {"ours": [], "ridge": []}
        for left_out in range(_BLOCKS):
            ends = frames[block == left_out][[0, -1]]
            far = (frames < ends[0] - _GUARD) | (frames > ends[1] + _GUARD)
            rest, out = clip.usable & far, clip.usable & (block == left_out)
            more = others[clip.name]
            known = {c.name: c.usable for c in more} | {clip.name: rest}
            predicted = {
                "ours": train(spec, [clip], more, known).predict(clip, rest),
                "ridge": clip.by_ridge(ridge_of_blocks(clip, rest, block)),
            }
            for method, one in predicted.items():
                found[method].append(correlation(one[out], clip.true[out]).mean())
        row = {"clip": clip.name, "frames": int(clip.usable.sum())}
        for method, each in found.items():
            row[method] = [round(float(value), 3) for value in each]
            row[f"{method}_mean"] = round(float(np.mean(each)), 3)
        gains.append(np.subtract(found["ours"], found["ridge"]))
        rows.append(row | gained(gains[-1]))
        print(json.dumps(rows[-1]), flush=True)
    print("all blocks", gained(np.concatenate(gains)))
    return rows


def gained(each: np.ndarray) -> dict[str, float]:
    """Mean of gains [M] of blocks, and half its 95% interval by Student's t."""
    half = scipy.stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5
    return {"gain": round(float(each.mean()), 3), "gain_95": round(float(half), 3)}


def main(_) -> None:
    """Measures, and writes the scores."""
    out, data = pathlib.Path(_OUT.value), pathlib.Path(_DATA.value)
    spec = audio2motion.Spec(
        hears=_HEARS.value, inputs=sound_features.WIDTHS[_HEARS.value]
    )
    sources = [source.split("+") for source in _SOURCES.value]
    groups = {name: source[0] for source in sources for name in source}
    clips = [Clip(data / name, spec) for name in groups]
    if _WITHIN.value:
        others = {
            name: [c for c in clips if _OTHERS.value and groups[c.name] != group]
            for name, group in groups.items()
        }
        scored = [c for c in clips if not _ONLY.value or c.name in _ONLY.value]
        kind, rows = "within", within(spec, scored, others)
    else:
        kind, rows = "across", across(spec, clips, groups)
    for method in ("ours", "ridge"):
        mean = np.mean([row[f"{method}_mean"] for row in rows])
        print(method, round(float(mean), 3))
    reports.write_json(out / f"{kind}.json", rows)


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _SOURCES = flags.DEFINE_list(
        "sources", None, "Names of identities, those of one source joined by +."
    )
    _OUT = flags.DEFINE_string("out", "runs/audio2motion", "Folder of the scores.")
    _HEARS = flags.DEFINE_enum(
        "hears", "phones", list(sound_features.WIDTHS), "Kind of the feature rows."
    )
    _ONLY = flags.DEFINE_list("only", [], "With --within: the clips to score.")
    _OTHERS = flags.DEFINE_bool("others", False, "With --within: train on others too.")
    _WITHIN = flags.DEFINE_bool("within", False, "Leave out blocks of each clip.")
    flags.mark_flags_as_required(["data", "sources"])
    process.start()
    app.run(main)
