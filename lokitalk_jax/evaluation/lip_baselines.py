"""Lips driven by a clip's own sound, and two baselines that must score worse."""

import numpy as np

from lokitalk_jax.avatar import motion, speaking_style
from lokitalk_jax.avatar.drivers import Speaker
from lokitalk_jax.avatar.motion import Motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.speech import lip_limits, lips, spoken_clip


def motions(run: OpenRun, record: ClipRecord, frames: np.ndarray) -> dict[str, Motion]:
    """Frames of a clip as tracked, except for the lips.

    Args:
      run: the run.
      record: of the clip.
      frames: [K], frame numbers.

    Returns:
      by name: "audio", lips predicted from the clip's sound; "still_mouth", lips at
      rest; "shuffled_audio", lips predicted from the sound of half a clip later.

    Raises:
      ValueError: see `predicted_lips`.
    """
    predicted, tracked = predicted_lips(run, record), motion.tracked(record, frames)
    shuffled = np.roll(predicted, len(predicted) // 2, axis=0)

    def with_lips(lip: np.ndarray) -> Motion:
        signals = tracked.signals._replace(lip=lip[frames])
        return Motion(tracked.head_to_camera, signals)

    return {
        "audio": with_lips(predicted),
        "still_mouth": motion.hold(tracked, record, ["lip"]),
        "shuffled_audio": with_lips(shuffled),
    }


def predicted_lips(run: OpenRun, record: ClipRecord) -> np.ndarray:
    """Lip signals [F, D_lip] that Audio2Motion predicts from a clip's sound.

    Raises:
      ValueError: the clip has no sound.
    """
    clip = spoken_clip.of_record(record)
    voice = speaking_style.styled_voice(run, Speaker(record, run.fitted))
    limits = lip_limits.of_clip(run.fitted, clip)
    return lips.of_clip(voice, limits, clip)
