"""Lips of training clips by Audio2Motion models that were not trained on them.

An avatar that speech will drive should be trained on lips as speech predicts them. A
model predicts its own training lips better than any others, so every stretch of a clip
is predicted by a model that was trained on the other stretches.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lokitalk_jax.progress import Progress
from lokitalk_jax.speech import clip_fitting, fitting, lips, spoken_clip
from lokitalk_jax.speech.lip_limits import LipLimits
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

STRETCHES = 4
# Frames at either side of a stretch that its model is not trained on either, since
# neighbouring frames resemble each other.
_GUARD = 12


def predict_lips(
    clips: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    limits: Mapping[str, LipLimits],
    hears: str,
    options: fitting.FitOptions,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Predicts each clip's lips with models that were not trained on those frames.

    Args:
      clips: to predict.
      others: clips of other speakers to train on as well, in the same lip basis.
      limits: by the names of `clips`.
      hears: kind of feature rows, see `audio2motion.Spec`.
      options: of the training.
      seed: of the training.
      progress: see `lokitalk_jax.progress`.

    Returns:
      by name, float32 [F, D_lip]; held-out frames are predicted by the last model,
      which was not trained on them either.

    Raises:
      ValueError: one of `clips` has no sound, or is too short.
    """
    for clip in clips:
        spoken_clip.samples(clip)  # raises where there is none
    spec = clip_fitting.spec_for(hears, clips)
    own = [clip_fitting.training_clip(spec, clip, seed) for clip in clips]
    more = [
        clip_fitting.training_clip(spec, clip, seed)
        for clip in clip_fitting.with_features(spec, others)
    ]
    rows = {clip.name: spoken_clip.rows(spec, clip) for clip in clips}
    predicted = {clip.name: np.zeros_like(clip.lip) for clip in clips}
    for part in range(STRETCHES):
        stretches = {clip.name: _stretch(clip, part) for clip in clips}
        known = [
            clip._replace(usable=clip.usable & ~_widened(stretches[clip.name]))
            for clip in own
        ]
        known = clip_fitting.oversampled(known, more)
        voice = Voice(spec, fitting.fit(spec, options, known, seed, progress))
        for clip in clips:
            name, count = clip.name, len(clip.lip)
            found = lips.of_rows(voice, limits[name], rows[name], count)
            predicted[name][stretches[name]] = found[stretches[name]]
    return predicted


def _stretch(clip: SpokenClip, part: int) -> np.ndarray:
    """Bool [F], frames of one part of a clip; the last includes the held-out frames."""
    ends = np.array_split(clip.train_frames, STRETCHES)[part]
    if not len(ends):
        raise ValueError(
            f"the clip of {clip.name!r} has {len(clip.train_frames)} training frames, "
            f"too few to split into {STRETCHES} stretches; use a longer one"
        )
    frames = np.arange(len(clip.lip))
    first = 0 if part == 0 else ends[0]
    after = np.array_split(clip.train_frames, STRETCHES)[part + 1 :]
    last = after[0][0] if after else len(frames)
    return (frames >= first) & (frames < last)


def _widened(frames: np.ndarray) -> np.ndarray:
    return np.convolve(frames, np.ones(2 * _GUARD + 1), "same") > 0
