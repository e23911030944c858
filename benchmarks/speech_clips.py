"""Clips that benchmarks of Audio2Motion train and test on, and its scores.

Clips come from identity folders and from speech corpora
(`lokitalk_jax.training.speech_corpus`), all with tracked lips. Tracks and feature rows
can be kept in a folder, as they take most of the time.
"""

import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import lip_distances
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
)
from lokitalk_jax.speech.audio2motion import Spec
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice
from lokitalk_jax.training import speech_corpus

KNOWN = 50  # frames at the beginning of a clip that a voice is adapted to
_LEAST = 50  # frames after these that are scored


class Clip(NamedTuple):
    """A clip with sound and tracked lips.

    Attributes:
      spoken: its sound; its lips are those of `in_basis`.
      tracks, usable: its tracks, and bool [F], frames with a face that do not repeat.
      row: of the corpus' manifest; of an identity folder, empty.
    """

    spoken: SpokenClip
    tracks: Tracks
    usable: np.ndarray
    row: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the identity or the recording."""
        return self.spoken.name

    @property
    def speaker(self) -> str:
        """Of the manifest, or the name."""
        return self.row.get("speaker", self.name)


def open_folder(folder: pathlib.Path, advance: float = 0.0) -> Clip:
    """Opens an identity folder whose sound is `advance` seconds late."""
    opened = IdentityFolder(folder)
    return _clip(
        opened.name, opened.audio_path, folder, opened.tracks(), advance=advance
    )


def open_corpus(
    folder: str | pathlib.Path,
    cache: pathlib.Path | None = None,
    accept: Callable[[speech_corpus.Recording], bool] = lambda _: True,
) -> list[Clip]:
    """The recordings of a corpus that show a face.

    Args:
      folder: of the corpus.
      cache: folder that keeps tracks; None keeps none.
      accept: which recordings to open.
    """
    found = []
    for one in speech_corpus.find(folder):
        tracks = _tracks(one, cache) if accept(one) else None
        if tracks is not None:
            sound, place = one.sound, one.landmarks.parent
            found.append(_clip(one.name, sound, place, tracks, one.row, one.advance))
    return found


def _clip(name, sound, place, tracks: Tracks, row=None, advance: float = 0.0) -> Clip:
    usable = tracks.valid & ~tracks.duplicate
    frames = np.flatnonzero(usable)
    none = np.zeros((len(usable), 1))
    spoken = SpokenClip(name, sound, place, none, frames, frames[:0], advance)
    return Clip(spoken, tracks, usable, row or {})


def _tracks(one: speech_corpus.Recording, cache: pathlib.Path | None) -> Tracks | None:
    if cache is None:
        return speech_corpus.tracks_of(one)
    path = kept(cache, "tracks", one.sound)
    if path.is_file():
        with np.load(path) as stored:
            return Tracks(**stored)
    tracks = speech_corpus.tracks_of(one)
    if tracks is not None:
        np.savez(path, **{k: v for k, v in tracks._asdict().items() if v is not None})
    return tracks


def rows(
    hears: str, clips: Sequence[SpokenClip], cache: pathlib.Path | None = None
) -> dict[str, np.ndarray]:
    """Feature rows of clips by name, see `spoken_clip.rows`; kept in `cache`."""
    spec, found = hearing.spec_of(hears, 8), {}
    for clip in clips:
        path = cache and kept(cache, f"{hears} {clip.advance:g}", clip.audio, "npy")
        if path and path.is_file():
            found[clip.name] = np.load(path).astype(np.float32)
            continue
        found[clip.name] = spoken_clip.rows(spec, clip)
        if path:
            np.save(path, found[clip.name].astype(np.float16))
    return found


def kept(
    cache: pathlib.Path, kind: str, sound: Any, suffix: str = "npz"
) -> pathlib.Path:
    """The file in `cache` that keeps something of a sound file."""
    cache.mkdir(parents=True, exist_ok=True)
    code = hashlib.sha256(f"{kind} {pathlib.Path(sound).resolve()}".encode())
    return cache / f"{code.hexdigest()[:24]}.{suffix}"


def in_basis(
    clip: Clip, lip_basis: np.ndarray | None, known: int | None = None
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


def shared_basis(clips: Sequence[Clip], lip_dim: int = 8) -> np.ndarray:
    """The lip basis [D_lip, 120] of clips."""
    tracks = {clip.name: clip.tracks for clip in clips}
    usable = {clip.name: clip.usable for clip in clips}
    return signals.fit_apply(tracks, usable, lip_dim)[0].lip_basis


class Taught(NamedTuple):
    """A clip as training data: its lesson, and metres of a unit of its lips."""

    lesson: ridge.Lesson
    lip_scale: float


def taught(
    clips: Sequence[Clip], known: Mapping[str, np.ndarray], lip_basis: np.ndarray
) -> dict[str, Taught]:
    """Training data of clips, whose feature rows are `known`, by name."""
    found = {}
    for clip in clips:
        spoken, fitted = in_basis(clip, lip_basis)
        [lesson] = clip_fitting.lessons([spoken], known)
        found[clip.name] = Taught(lesson, float(fitted.lip_scale[0]))
    return found


def train(spec: str | Spec, lessons: Sequence[Taught], lip_basis: np.ndarray) -> Voice:
    """A voice fitted to clips from nothing; its sizes, or a kind of feature rows."""
    if isinstance(spec, str):
        spec = hearing.spec_of(spec, len(lip_basis))
    params = ridge.fit(spec, [one.lesson for one in lessons])
    scale = float(np.median([one.lip_scale for one in lessons]))
    return Voice(spec, params, lip_basis, scale)


def windows(
    spec: Spec, clip: SpokenClip, rows: np.ndarray, look_ahead: float
) -> np.ndarray:
    """Windows [F, W, inputs]; with all of the sound known if `look_ahead` is 0."""
    if not look_ahead:
        times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
        return audio2motion.windows(spec, rows[:, :-1], times)
    state = hearing.begin(spec, look_ahead=look_ahead)
    sound = spoken_clip.samples(clip)
    found = hearing.push(state, spec, sound, last=True)[1].windows
    return found[np.minimum(np.arange(len(clip.lip)), len(found) - 1)]


def distances_of(lip: np.ndarray, fitted: signals.Fitted) -> np.ndarray:
    """Lip distances [F, 3] of coefficients [F, D_lip] of a single fitted clip."""
    shapes = fitted.lip_mean[0] + (lip * fitted.lip_scale[0]) @ fitted.lip_basis
    return lip_distances.distances(shapes)


def score(one: Voice, clip: Clip, rows: np.ndarray, look_ahead: float = 0.0) -> dict:
    """Scores of a clip by a voice that has not seen it.

    The correlation is that of the voice as it is; the others are those of the voice
    adapted to the first `KNOWN` frames, on the rest, and are missing where the rest is
    shorter than two seconds.
    """
    true = lip_distances.distances(clip.tracks.lips.reshape(len(clip.usable), -1))
    frames = np.flatnonzero(clip.usable)
    rest = frames[KNOWN:]
    spoken, fitted = in_basis(clip, one.lip_basis)
    seen = windows(one.spec, spoken, rows, look_ahead)
    found = distances_of(audio2motion.apply(one.params, seen), fitted)
    row: dict = {
        "clip": clip.name,
        "frames": len(frames),
        "correlations": lip_distances.correlation(found[frames], true[frames]),
        "lag_ms": lip_distances.best_lag_ms(found, true),
    }
    if len(rest) >= _LEAST:
        spoken, fitted = in_basis(clip, one.lip_basis, KNOWN)
        own = manner.adapted(one, spoken, rows, float(fitted.lip_scale[0]))
        found = distances_of(audio2motion.apply(own.params, seen), fitted)
        row["concordances"] = lip_distances.concordance(found[rest], true[rest])
        row["ratios_of_spreads"] = found[rest].std(0) / true[rest].std(0)
        row |= lip_distances.closures(found[rest], true[rest])
    for key, several in _MEAN_OF.items():
        if several in row:
            row[key] = np.mean(row[several])
    return {key: _rounded(value) for key, value in row.items()}


def style_scores(one: Voice, clip: Clip, rows: np.ndarray) -> dict:
    """Scores of the last eleventh of a clip in the style of the rest and in a neutral.

    Returns:
      own and neutral: the mean concordance of the three distances; and the mean
      distance of the lip landmarks, lmd_mm.
    """
    frames = np.flatnonzero(clip.usable)
    known = len(frames) * 10 // 11
    spoken, fitted = in_basis(clip, one.lip_basis, known)
    scale, rest = float(fitted.lip_scale[0]), frames[known:]
    true = clip.tracks.lips.reshape(len(clip.usable), -1)
    seen = windows(one.spec, spoken, rows, 0.0)
    own = manner.measured(one, spoken, rows, scale)
    found: dict = {}
    for name, style in (("own", own), ("neutral", manner.neutral(one))):
        voice = manner.in_style(one, style, scale)
        lip = audio2motion.apply(voice.params, seen)
        shape = fitted.lip_mean[0] + (lip * scale) @ fitted.lip_basis
        both = (lip_distances.distances(x[rest]) for x in (shape, true))
        found[f"{name}_concordance"] = float(lip_distances.concordance(*both).mean())
        apart = (shape - true)[rest].reshape(len(rest), -1, 3)
        found[f"{name}_lmd_mm"] = 1e3 * float(np.linalg.norm(apart, axis=-1).mean())
    return {key: _rounded(value) for key, value in found.items()}


def _rounded(value):
    if isinstance(value, np.ndarray):
        return [round(float(one), 3) for one in value]
    return round(float(value), 3) if isinstance(value, float | np.floating) else value


_MEAN_OF = {
    "correlation": "correlations",
    "concordance": "concordances",
    "ratio_of_spreads": "ratios_of_spreads",
}
MEANS = (
    *_MEAN_OF,
    "closed",
    "opened",
    "own_concordance",
    "neutral_concordance",
    "own_lmd_mm",
    "neutral_lmd_mm",
)


def summary(rows: Sequence[dict], name: str = "mean") -> dict:
    """Means over clips or speakers, with the half width of their 95% interval."""
    found: dict = {"clip": name, "clips": len(rows)}
    for key in MEANS:
        values = np.array([row[key] for row in rows if row.get(key) is not None])
        if len(values):
            found[key] = round(float(values.mean()), 3)
        if len(values) > 1:
            half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
            found[f"{key}_ci95"] = round(float(half), 3)
    return found
