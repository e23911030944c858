"""Lips of training clips by Audio2Motion models that were not trained on them.

An avatar that speech will drive should be trained on lips as speech predicts them. A
model predicts its own training lips better than any others, so every stretch of a clip
is predicted by a model that was trained on the other stretches.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lokitalk_jax.progress import Progress
from lokitalk_jax.speech import clip_fitting, lips, manner, spoken_clip
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
    start: Voice,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Predicts each clip's lips with models that were not trained on those frames.

    Args:
      clips: to predict.
      others: clips of other speakers to train on as well, in the same lip basis.
      limits: by the names of `clips`.
      start: see `clip_fitting.start_for`.
      progress: see `lokitalk_jax.progress`.

    Returns:
      by name, float32 [F, D_lip]; held-out frames are predicted by the last model,
      which was not trained on them either.

    Raises:
      ValueError: one of `clips` has no sound, or is too short.
    """
    for clip in clips:
        spoken_clip.samples(clip)  # raises where there is none
    rows = clip_fitting.read_rows(start.spec, [*clips, *others], progress)
    predicted = {clip.name: np.zeros_like(clip.lip) for clip in clips}
    for part in range(STRETCHES):
        stretches = {clip.name: _stretch(clip, part) for clip in clips}
        known = [_without(clip, _widened(stretches[clip.name])) for clip in clips]
        fitted = clip_fitting.fit(start, known, others, rows)
        for clip in known:
            name = clip.name
            voice = manner.adapted(fitted, clip, rows[name])
            found = lips.of_rows(voice, limits[name], rows[name], len(clip.lip))
            predicted[name][stretches[name]] = found[stretches[name]]
    return predicted


def _without(clip: SpokenClip, frames: np.ndarray) -> SpokenClip:
    """The clip without some of its training frames, bool [F]."""
    return clip._replace(train_frames=clip.train_frames[~frames[clip.train_frames]])


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
