"""Fitting the voice of a run on the clips of its identities and of its prior.

A run that adapts a prior has the prior's lip basis, and a run keeps the lips and the
sound of all its identities, so a voice is trained on the prior's speakers too.
"""

import logging
import os
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lokitalk_jax.data import audio_features
from lokitalk_jax.progress import Progress
from lokitalk_jax.speech import (
    audio2motion,
    augmentation,
    fitting,
    sound_features,
    spoken_clip,
    voice,
)
from lokitalk_jax.speech.audio2motion import Spec
from lokitalk_jax.speech.fitting import FitOptions, TrainingClip
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice
from lokitalk_jax.structs import Config

_LOG = logging.getLogger(__name__)

# How many times the clips of a run's own identities count next to those of others. The
# correlation on held-out blocks of clips a, b and c is 0.62, 0.49 and 0.48 with 1;
# 0.66, 0.52 and 0.47 with 3; 0.67, 0.53 and 0.45 with 5; and 0.67, 0.52 and 0.23 when
# trained on the clip alone (results/audio2motion.md).
_OVERSAMPLING = 3

# Correlation below which predicted lips hardly follow the speech.
_POOR = 0.2

# Longest gap, in frames without a face or with a repeated picture, within a stretch.
_BRIDGED = 2

# Augmented variants of each recording.
_VARIANTS = 4


def spec_for(hears: str, clips: Sequence[SpokenClip]) -> Spec:
    """Sizes of a network to be trained on clips; for `hears` see `Spec`.

    Raises:
      ValueError: `hears` is neither a kind of feature rows nor the name of a file of
        features that the first clip with sound has.
    """
    lip_dim = clips[0].lip.shape[-1]
    if hears in sound_features.WIDTHS:
        inputs = sound_features.WIDTHS[hears]
    elif hears.endswith(".npy"):
        first = spoken_clip.with_sound(clips)[0]
        inputs = audio_features.read(first.source / hears, len(first.lip)).shape[1] + 1
    else:
        raise ValueError(
            f"voice.hears={hears!r} is none of {', '.join(sound_features.WIDTHS)}, nor "
            "the name of a .npy file of features in each identity folder"
        )
    return Spec(lip_dim=lip_dim, hears=hears, inputs=inputs)


def options_from(config: Config) -> FitOptions:
    """The options in section `voice` of a config."""
    return FitOptions(**{k: v for k, v in config.items() if k != "hears"})


def training_clip(spec: Spec, clip: SpokenClip, seed: int) -> TrainingClip:
    """Training data of a clip: its training frames, and augmented variants.

    Args:
      spec: sizes of the network.
      clip: with sound.
      seed: of the variants.

    Raises:
      ValueError: see `spoken_clip.rows`.
    """
    sound = spoken_clip.samples(clip)
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
    windows = [spoken_clip.windows(spec, clip)]
    # Features of other programs cannot be computed for augmented sound.
    for variant in range(_VARIANTS if spec.streams else 0):
        rng = np.random.default_rng((seed, variant))
        augmented, speed = augmentation.augment(rng, sound)
        rows = sound_features.features(augmented, spec.hears)
        windows.append(audio2motion.windows(spec, rows, times / speed))
    return TrainingClip(clip.name, windows, *_bridged(clip))


def _bridged(clip: SpokenClip) -> tuple[np.ndarray, np.ndarray]:
    """Lips [F, D_lip], and bool [F], whether they are known, on training frames.

    Training takes stretches without a gap, and a clip that was converted to 25 frames a
    second may repeat every fifth: lips of such frames are interpolated.
    """
    seen = np.zeros(len(clip.lip), bool)
    seen[clip.train_frames] = True
    known = seen | ndimage.binary_closing(seen, np.ones(_BRIDGED + 1))
    frames = np.arange(len(clip.lip))
    between = [
        np.interp(frames, clip.train_frames, coefficient[clip.train_frames])
        for coefficient in clip.lip.T
    ]
    return np.where(seen[:, None], clip.lip, np.stack(between, -1)), known


def with_features(spec: Spec, clips: Sequence[SpokenClip]) -> list[SpokenClip]:
    """The clips that have the features of `spec`; the log names the others."""
    found = []
    for clip in clips:
        if clip.audio and (spec.streams or (clip.source / spec.hears).is_file()):
            found.append(clip)
        else:
            missing = spec.hears if clip.audio else "sound"
            _LOG.info("voice: skipping %s, which has no %s", clip.name, missing)
    return found


def oversampled(
    own: list[TrainingClip], others: list[TrainingClip]
) -> list[TrainingClip]:
    """Clips to train on: those of the run's own identities count several times."""
    return own * _OVERSAMPLING + others if others else own


def fit(
    own: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    spec: Spec,
    options: FitOptions,
    seed: int,
    progress: Progress | None = None,
) -> Voice:
    """Fits a voice on the training frames of clips in one lip basis.

    Args:
      own: clips of the identities that the voice is to drive.
      others: clips of other speakers, such as those of a prior.
      spec: sizes of the network.
      options: of the training.
      seed: of first parameters, batches and augmentation.
      progress: see `lokitalk_jax.progress`.

    Raises:
      ValueError: no clip has sound, or enough frames.
    """
    spoken_clip.with_sound([*own, *others])  # raises where none has
    first = [training_clip(spec, clip, seed) for clip in own if clip.audio]
    more = [training_clip(spec, clip, seed) for clip in with_features(spec, others)]
    params = fitting.fit(spec, options, oversampled(first, more), seed, progress)
    return Voice(spec, params)


def fit_run(
    workdir: str | os.PathLike,
    own: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    config: Config,
    seed: int,
    progress: Progress | None = None,
) -> Voice:
    """Fits the voice of a run, writes it and logs its held-out correlations.

    Args:
      workdir: of the run.
      own: clips of its identities.
      others: clips of other speakers, in the same lip basis.
      config: section `voice` of a config.
      seed: of the run.
      progress: see `lokitalk_jax.progress`.

    Raises:
      ValueError: see `fit`.
    """
    count = len(own) + len(others)
    _LOG.info("fitting the voice on %d speaker%s", count, "s" * (count > 1))
    spec = spec_for(config.hears, [*own, *others])
    fitted = fit(own, others, spec, options_from(config), seed, progress)
    fitted = save_with_report(workdir, fitted, [*own, *with_features(spec, others)])
    if count == 1:
        _LOG.info(
            "voice: trained on one speaker, so lips may follow other speakers badly; "
            "adapting a prior of several identities helps"
        )
    return fitted


def save_with_report(
    workdir: str | os.PathLike, fitted: Voice, clips: Sequence[SpokenClip]
) -> Voice:
    """Writes a voice into a run and logs its correlation on held-out frames.

    Returns:
      the voice with its correlations.
    """
    scored = [clip for clip in clips if clip.audio and len(clip.test_frames) > 2]
    found = {clip.name: voice.held_out_correlation(fitted, clip) for clip in scored}
    fitted = fitted._replace(held_out_correlation=found)
    voice.save(workdir, fitted)
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
