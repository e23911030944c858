"""Fitting the voice of a run on the clips of its identities and of its prior.

The fit starts from the voice of the package where there is one on the same features. A
run that adapts a prior has the prior's lip basis, and a run keeps the lips and the
sound of all its identities, so a voice is fitted on the prior's speakers too.
"""

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np

from lokitalk_jax.data import audio_features
from lokitalk_jax.progress import Progress, Stage
from lokitalk_jax.speech import audio2motion, hearing, ridge, spoken_clip
from lokitalk_jax.speech import voice as voices
from lokitalk_jax.speech.audio2motion import Spec
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

_LOG = logging.getLogger(__name__)

# How many times the clips of a run's own identities count next to those of others.
_OWN_WEIGHT = 3.0

# Correlation below which predicted lips hardly follow the speech.
_POOR = 0.2

_FEWEST = 50  # frames that a voice without a start is fitted on


def start_for(hears: str, clips: Sequence[SpokenClip], lip_basis: np.ndarray) -> Voice:
    """The voice that a fit starts from; without parameters where there is none.

    Args:
      hears: see `audio2motion.Spec`.
      clips: to be fitted on.
      lip_basis: [D_lip, 120], of these.

    Raises:
      ValueError: `hears` is neither a kind of feature rows nor the name of a file of
        features that the first clip with sound has.
    """
    if voices.is_shipped(hears):
        return voices.in_basis(voices.shipped(hears), lip_basis)
    inputs = None
    if hears.endswith(".npy"):
        first = spoken_clip.with_sound(clips)[0]
        inputs = audio_features.read(first.source / hears, len(first.lip)).shape[1]
    elif hears not in hearing.WIDTHS:
        raise ValueError(
            f"voice.hears={hears!r} is none of {', '.join(hearing.WIDTHS)}, nor the "
            "name of a .npy file of features in each identity folder"
        )
    return Voice(hearing.spec_of(hears, len(lip_basis), inputs), {}, lip_basis)


def read_rows(
    spec: Spec, clips: Sequence[SpokenClip], progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Feature rows [T, inputs + 1] of clips, by name; the log names clips without."""
    found, stage = {}, Stage(progress, "listening", len(clips))
    for clip in clips:
        if spoken_clip.has_features(spec, clip):
            found[clip.name] = spoken_clip.rows(spec, clip)
        else:
            missing = spec.hears if clip.audio else "sound"
            _LOG.info("voice: skipping %s, which has no %s", clip.name, missing)
        stage.advance()
    return found


def lessons(
    clips: Sequence[SpokenClip],
    rows: Mapping[str, np.ndarray],
    weight: float = 1.0,
) -> list[ridge.Lesson]:
    """Training data: the training frames of clips with `rows` [T, inputs + 1]."""
    found = []
    for clip in clips:
        if clip.name in rows and len(clip.train_frames) > 1:
            times = clip.train_frames * audio2motion.ROWS_PER_FRAME
            lip = clip.lip[clip.train_frames]
            found.append(ridge.Lesson(rows[clip.name][:, :-1], times, lip, weight))
    return found


def fit(
    start: Voice,
    own: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    rows: Mapping[str, np.ndarray],
) -> Voice:
    """Fits a voice on the training frames of clips in one lip basis.

    Args:
      start: see `start_for`.
      own: clips of the identities that the voice is to drive.
      others: clips of other speakers, such as those of a prior.
      rows: by name [T, inputs + 1], see `read_rows`.

    Raises:
      ValueError: no clip has sound, or they have too few frames.
    """
    spoken_clip.with_sound([*own, *others])  # raises where none has
    more = lessons(others, rows)
    known = lessons(own, rows, _OWN_WEIGHT if more else 1.0) + more
    count = sum(len(one.lip) for one in known)
    if not known or not start.params and count < _FEWEST:
        raise ValueError(
            f"a voice is fitted on {_FEWEST} frames of speech with a face, and "
            f"{', '.join(clip.name for clip in [*own, *others])} have {count}; use "
            "longer clips"
        )
    params = ridge.fit(start.spec, known, start.params or None)
    return start._replace(params=params, held_out_correlation={})


def fit_run(
    workdir: str | os.PathLike,
    own: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    lip_basis: np.ndarray,
    hears: str,
    progress: Progress | None = None,
) -> Voice:
    """Fits the voice of a run, writes it and logs its held-out correlations.

    Args:
      workdir: of the run.
      own: clips of its identities.
      others: clips of other speakers, in the same lip basis.
      lip_basis: [D_lip, 120], of the run.
      hears: kind of the features, see `audio2motion.Spec`.
      progress: receives the stage "listening".

    Raises:
      ValueError: see `start_for` and `fit`.
    """
    hears = voices.usable_features(hears)
    start = start_for(hears, [*own, *others], lip_basis)
    _LOG.info(
        "fitting the voice on %d clips, %s", len(own) + len(others), _origin(start)
    )
    rows = read_rows(start.spec, [*own, *others], progress)
    fitted = fit(start, own, others, rows)
    return save_with_report(workdir, fitted, own)


def _origin(start: Voice) -> str:
    return "from the voice of the package" if start.params else "from scratch"


def save_with_report(
    workdir: str | os.PathLike, fitted: Voice, clips: Sequence[SpokenClip]
) -> Voice:
    """Writes a voice into a run and logs its correlation on held-out frames.

    Returns:
      the voice with its correlations.
    """
    scored = [
        clip
        for clip in clips
        if spoken_clip.has_features(fitted.spec, clip) and len(clip.test_frames) > 2
    ]
    found = {clip.name: voices.held_out_correlation(fitted, clip) for clip in scored}
    fitted = fitted._replace(held_out_correlation=found)
    voices.save(workdir, fitted)
    for name, correlation in found.items():
        _LOG.info(
            "voice: correlation %.2f with the held-out lips of %s", correlation, name
        )
        if correlation < _POOR:
            _LOG.warning(
                "lips of %s will hardly follow speech: the clip has too little of it, "
                "or its sound and its pictures do not belong together; use a longer "
                "clip, or check that its lips and its sound are in step",
                name,
            )
    return fitted
