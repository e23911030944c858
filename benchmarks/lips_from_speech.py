"""How well does Audio2Motion predict the lips of a speaker whose lips it has not seen?

    python -m benchmarks.lips_from_speech --data=data/dev --sources=a,b,c+d,e,f
        --corpus=data/speech --advance=a:40,f:40

Each source of clips is left out in turn (some hold several clips); Audio2Motion learns
from the others and from a corpus (`lokitalk_jax.training.speech_corpus`), and predicts
the clips left out: as in a file, with all of their sound known (--look-ahead=0), or
with so many seconds of sound after each frame. With --shipped, the package's voice
predicts instead. Scores are of three distances of the lips (inner and outer opening,
width): Pearson's correlation, for the voice as it is; and for the voice adapted to the
first two seconds of the clip, on the rest of it, the concordance correlation (CCC), the
ratio of predicted to true spread and the lag at which the correlation is best. A JSON
line for each clip, and one for their mean.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import app, flags

from benchmarks import lip_distances, reports
from lokitalk_jax import process, progress
from lokitalk_jax.data import signals
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.speech import (
    audio2motion,
    clip_fitting,
    hearing,
    manner,
    ridge,
    spoken_clip,
    voice,
)
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice
from lokitalk_jax.training import speech_corpus

_KNOWN = 50  # frames at the beginning of a clip that the voice is adapted to


class Clip(NamedTuple):
    """A clip of an identity folder.

    Attributes:
      spoken: its sound; its lips are those of `in_basis`.
      tracks, usable: its tracks, and bool [F], frames with a face that do not repeat.
    """

    spoken: SpokenClip
    tracks: Tracks
    usable: np.ndarray

    @property
    def name(self) -> str:
        """Of the identity."""
        return self.spoken.name


def open_clip(folder: pathlib.Path, advance: float = 0.0) -> Clip:
    """Opens an identity folder whose sound is `advance` seconds late."""
    opened = IdentityFolder(folder)
    tracks = opened.tracks()
    usable = tracks.valid & ~tracks.duplicate
    frames = np.flatnonzero(usable)
    none = np.zeros((len(usable), 1))
    spoken = SpokenClip(
        opened.name, opened.audio_path, folder, none, frames, frames[:0], advance
    )
    return Clip(spoken, tracks, usable)


def in_basis(
    clip: Clip, lip_basis: np.ndarray, known: int | None = None
) -> tuple[SpokenClip, signals.Fitted]:
    """Lips of a clip in a basis, fitted on its first `known` frames, or on all."""
    frames = np.flatnonzero(clip.usable)[:known]
    train = np.zeros(len(clip.usable), bool)
    train[frames] = True
    fitted, tracked = signals.fit_apply(
        {clip.name: clip.tracks}, {clip.name: train}, lip_basis=lip_basis
    )
    lip = tracked[clip.name].lip
    return clip.spoken._replace(lip=lip, train_frames=frames), fitted


class Training(NamedTuple):
    """Speech to train on, in one lip basis.

    Attributes:
      clips: with lips.
      lip_basis: [D_lip, 120].
      rows: feature rows by name.
    """

    clips: Sequence[SpokenClip]
    lip_basis: np.ndarray
    rows: dict[str, np.ndarray]


def train(hears: str, data: Training, without: set[str]) -> Voice:
    """A voice that is fitted to all clips but some."""
    spec = hearing.spec_of(hears, len(data.lip_basis))
    known = [clip for clip in data.clips if clip.name not in without]
    lessons = clip_fitting.lessons(known, data.rows)
    return Voice(spec, ridge.fit(spec, lessons), data.lip_basis)


def predict(one: Voice, clip: SpokenClip, rows, look_ahead: float) -> np.ndarray:
    """Lip coefficients [F, D_lip]; with all of the sound known if `look_ahead` is 0."""
    if not look_ahead:
        times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
        windows = audio2motion.windows(one.spec, rows[:, :-1], times)
    else:
        state = hearing.begin(one.spec, look_ahead=look_ahead)
        sound = spoken_clip.samples(clip)
        windows = hearing.push(state, one.spec, sound, last=True)[1].windows
        windows = windows[np.minimum(np.arange(len(clip.lip)), len(windows) - 1)]
    return audio2motion.apply(one.params, windows)


def score(one: Voice, clip: Clip, rows: np.ndarray, look_ahead: float) -> dict:
    """Scores of a clip by a voice that has not seen it."""
    true = lip_distances.distances(clip.tracks.lips.reshape(len(clip.usable), -1))
    frames = np.flatnonzero(clip.usable)
    rest = frames[_KNOWN:]
    spoken, fitted = in_basis(clip, one.lip_basis)
    found = _distances(predict(one, spoken, rows, look_ahead), fitted)
    row = {
        "clip": clip.name,
        "frames": len(frames),
        "correlation": lip_distances.correlation(found[frames], true[frames]),
    }
    spoken, fitted = in_basis(clip, one.lip_basis, _KNOWN)
    own = manner.adapted(one, spoken, rows, float(fitted.lip_scale[0]))
    found = _distances(predict(own, spoken, rows, look_ahead), fitted)
    row["ccc"] = lip_distances.concordance(found[rest], true[rest])
    row["spread"] = found[rest].std(0) / true[rest].std(0)
    means = {f"{key}_mean": np.mean(row[key]) for key in ("correlation", "ccc")}
    row |= means | {"spread_mean": np.mean(row["spread"])}
    row["lag_ms"] = lip_distances.best_lag_ms(found, true)
    return {key: _rounded(value) for key, value in row.items()}


def _distances(lip: np.ndarray, fitted: signals.Fitted) -> np.ndarray:
    shapes = fitted.lip_mean[0] + (lip * fitted.lip_scale[0]) @ fitted.lip_basis
    return lip_distances.distances(shapes)


def _rounded(value):
    if isinstance(value, np.ndarray):
        return [round(float(one), 3) for one in value]
    return round(float(value), 3) if isinstance(value, float | np.floating) else value


def summary(rows: Sequence[dict]) -> dict:
    """Means over clips, with the half width of their 95% interval."""
    found: dict = {"clip": "mean", "clips": len(rows)}
    for key in ("correlation_mean", "ccc_mean", "spread_mean"):
        values = np.array([row[key] for row in rows])
        found[key] = round(float(values.mean()), 3)
        if len(rows) > 1:
            half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
            found[f"{key}_95"] = round(float(half), 3)
    return found


def gather(
    hears: str, clips: Sequence[Clip], corpus: Sequence[SpokenClip], lip_basis
) -> Training:
    """Clips and a corpus in one lip basis, with their feature rows."""
    spoken = [in_basis(clip, lip_basis)[0] for clip in clips]
    spec = hearing.spec_of(hears, len(lip_basis))
    everything = [*spoken, *corpus]
    return Training(everything, lip_basis, clip_fitting.read_rows(spec, everything))


def speakers_of(recordings: Sequence[speech_corpus.Recording]) -> list[str]:
    """Speakers of a corpus in an order that does not depend on their corpus."""
    names = sorted({one.row.get("speaker", one.name) for one in recordings})
    return list(np.random.default_rng(0).permutation(names))


def main(_) -> None:
    """Measures, and writes the scores."""
    data = pathlib.Path(_DATA.value)
    groups = [source.split("+") for source in _SOURCES.value]
    late = {k: float(v) / 1000 for k, v in (one.split(":") for one in _ADVANCE.value)}
    clips = [open_clip(data / n, late.get(n, 0.0)) for group in groups for n in group]
    corpus, basis = [], None
    if _CORPUS.value and not _SHIPPED.value:
        chosen = set(speakers_of(speech_corpus.find(_CORPUS.value)))
        if _SPEAKERS.value:
            order = speakers_of(speech_corpus.find(_CORPUS.value))
            chosen = set(order[: _SPEAKERS.value])
        with progress.Bar() as bar:
            corpus, fitted = speech_corpus.read(
                _CORPUS.value,
                accept=lambda one: one.row.get("speaker", one.name) in chosen,
                progress=bar,
            )
        basis = fitted.lip_basis
    if basis is None:
        basis = voice.shipped(_HEARS.value).lip_basis
    gathered = gather(_HEARS.value, clips, corpus, basis)
    rows = []
    for group in groups:
        if _SHIPPED.value:
            one = voice.shipped(_HEARS.value)
        else:
            one = train(_HEARS.value, gathered, set(group))
        for clip in clips:
            if clip.name in group:
                known = gathered.rows[clip.name]
                rows.append(score(one, clip, known, _LOOK_AHEAD.value))
                print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(summary(rows)))
    reports.write_json(pathlib.Path(_OUT.value), [*rows, summary(rows)])


if __name__ == "__main__":
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _SOURCES = flags.DEFINE_list(
        "sources", None, "Names of identities, those of one source joined by +."
    )
    _CORPUS = flags.DEFINE_string("corpus", "", "Folder of a speech corpus.")
    _ADVANCE = flags.DEFINE_list(
        "advance", [], "NAME:MS, identities whose sound is so much late."
    )
    _HEARS = flags.DEFINE_enum(
        "hears", "whisper", list(hearing.WIDTHS), "Kind of the feature rows."
    )
    _LOOK_AHEAD = flags.DEFINE_float("look_ahead", 0.0, "Seconds; 0: all of the sound.")
    _SHIPPED = flags.DEFINE_bool("shipped", False, "Use the package's voice.")
    _SPEAKERS = flags.DEFINE_integer("speakers", 0, "Of the corpus; 0: all.")
    _OUT = flags.DEFINE_string("out", "runs/audio2motion.json", "File of the scores.")
    flags.mark_flags_as_required(["data", "sources"])
    process.start()
    app.run(main)
