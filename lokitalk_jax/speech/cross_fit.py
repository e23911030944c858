"""Lips for a portrait to be trained on when sound is to drive it later.

A voice tells the lips that it has learned from better than any others, and a portrait
that saw only those would be driven by something worse than what it knows. So every
stretch of a clip is told by a voice that has learned from the other stretches.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lokitalk_jax.speech import audio2motion, lips, spoken_clip, voice
from lokitalk_jax.speech.lips import LipLimits

STRETCHES = 4
# Frames on either side of a stretch that its voice does not learn from either, since
# neighbouring frames resemble each other.
_GUARD = 12


def predict_lips(
    clips: Sequence[spoken_clip.SpokenClip],
    others: Sequence[spoken_clip.SpokenClip],
    mouths: Mapping[str, LipLimits],
    hears: str,
    training: audio2motion.Training,
    seed: int,
) -> dict[str, np.ndarray]:
    """Lips as voices tell them that have not learned from the frames told.

    Args:
      clips: whose lips are asked for.
      others: to learn from besides, in the same lip basis.
      mouths: by the names of `clips`.
      hears: what the voices hear, see `audio2motion.Spec`.
      training: of the voices.
      seed: of the voices.

    Returns:
      by name, float32 [F, D_lip]; held-out frames are told by the last voice, which
      has not learned from them either.

    Raises:
      ValueError: one of `clips` has no sound, or is too short.
    """
    for clip in clips:
        spoken_clip.samples(clip)  # refuses those without
    spec = voice.spec_for(hears, clips)
    speakers = [voice.speaker(spec, clip, seed) for clip in clips]
    helpers = [voice.speaker(spec, clip, seed) for clip in voice.helpers(spec, others)]
    heard = {clip.name: spoken_clip.rows(spec, clip) for clip in clips}
    found = {clip.name: np.zeros_like(clip.lip) for clip in clips}
    for part in range(STRETCHES):
        told = {clip.name: _stretch(clip, part) for clip in clips}
        known = [
            one._replace(usable=one.usable & ~_widened(told[one.name]))
            for one in speakers
        ]
        known = voice.weighted(known, helpers)
        params = audio2motion.fit(spec, training, known, seed)
        made = voice.Voice(spec, params, {})
        for clip in clips:
            person, count = mouths[clip.name], len(clip.lip)
            every = lips.of_rows(made, person, heard[clip.name], count)
            frames = told[clip.name]
            found[clip.name][frames] = every[frames]
    return found


def _stretch(clip: spoken_clip.SpokenClip, part: int) -> np.ndarray:
    """Bool [F], frames of a part of the clip; what is not trained on is in the last."""
    ends = np.array_split(clip.train_frames, STRETCHES)[part]
    if not len(ends):
        raise ValueError(
            f"the clip of {clip.name!r} has {len(clip.train_frames)} training frames, "
            f"too few to be told in {STRETCHES} stretches; use a longer one"
        )
    frames = np.arange(len(clip.lip))
    first = 0 if part == 0 else ends[0]
    after = np.array_split(clip.train_frames, STRETCHES)[part + 1 :]
    last = after[0][0] if after else len(frames)
    return (frames >= first) & (frames < last)


def _widened(rows: np.ndarray) -> np.ndarray:
    return np.convolve(rows, np.ones(2 * _GUARD + 1), "same") > 0
