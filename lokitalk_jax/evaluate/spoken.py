"""What a clip's own sound makes of it, and what bounds that from below."""

import numpy as np

from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.motion import Motion
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.speech import lips, spoken_clip
from lokitalk_jax.speech import voice as voices


def clip_lips(run: Run, record: ClipRecord) -> np.ndarray:
    """Lips [F, D_lip] of a clip as the run's voice hears them in its sound.

    Raises:
      ValueError: the run has no voice, or the clip no sound.
    """
    voice = voices.load(run.workdir)
    clip = spoken_clip.of_record(record)
    heard = spoken_clip.rows(voice.spec, clip)
    person = lips.lip_limits(run.fitted, clip)
    return lips.of_rows(voice, person, heard, record.frame_count)


def motions(run: Run, record: ClipRecord, frames: list[int]) -> dict[str, Motion]:
    """Frames of a clip as tracked, but for the lips.

    Args:
      run: with a voice.
      portrait: of the clip.
      frames: numbers of the frames.

    Returns:
      by column: "audio", lips by the clip's sound; "still_mouth", lips at rest;
      "shuffled_audio", lips by the sound of half a clip later.

    Raises:
      ValueError: see `clip_lips`.
    """
    spoken, tracked = clip_lips(run, record), motion.tracked(record, frames)
    elsewhere = np.roll(spoken, len(spoken) // 2, axis=0)

    def with_lips(lip: np.ndarray) -> Motion:
        signals = tracked.signals._replace(lip=lip[frames])
        return Motion(tracked.head_to_camera, signals)

    return {
        "audio": with_lips(spoken),
        "still_mouth": motion.hold(tracked, record, ["lip"]),
        "shuffled_audio": with_lips(elsewhere),
    }
