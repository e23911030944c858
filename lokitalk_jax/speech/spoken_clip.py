"""Clips as training data of Audio2Motion: identity, sound, tracked lips."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import audio_features
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.media import clip_sound, sound_file
from lokitalk_jax.speech import (
    audio2motion,
    hearing,
    sound_features,
    whisper,
    whisper_weights,
)


class SpokenClip(NamedTuple):
    """Speech and lips of a clip of F frames.

    Attributes:
      name: of its identity.
      audio: its sound, a 16 kHz mono WAV file or one of another format; None where it
        has none.
      source: the identity folder, which may hold features of other programs.
      lip: [F, D_lip], tracked coefficients.
      train_frames, test_frames: frame numbers.
      advance: seconds by which the sound is later than the pictures.
    """

    name: str
    audio: pathlib.Path | None
    source: pathlib.Path
    lip: np.ndarray
    train_frames: np.ndarray
    test_frames: np.ndarray
    advance: float = 0.0


def of_record(record: ClipRecord) -> SpokenClip:
    """The clip that a run keeps of an identity."""
    return SpokenClip(
        record.name,
        record.audio,
        record.source,
        record.signals.lip,
        record.train_frames,
        record.test_frames,
    )


def samples(clip: SpokenClip) -> np.ndarray:
    """Samples of a clip's sound in step with it, float32 [S], 16 kHz mono in [-1, 1].

    Raises:
      ValueError: the clip has no sound.
    """
    if clip.audio is None:
        raise ValueError(
            f"the clip of {clip.name!r} has no sound; prepare a video with sound"
        )
    if clip.audio.suffix == ".wav":
        found = clip_sound.samples(clip.audio)
    else:
        found = np.concatenate(list(sound_file.open_sound(clip.audio).read()))
    late = round(clip.advance * structs.AUDIO_RATE)
    return found[late:] if late >= 0 else np.pad(found, (-late, 0))


def with_sound(clips: Sequence[SpokenClip]) -> list[SpokenClip]:
    """The clips that have sound.

    Raises:
      ValueError: none has.
    """
    found = [clip for clip in clips if clip.audio is not None]
    if not found:
        names = ", ".join(clip.name for clip in clips)
        raise ValueError(
            f"none of the clips has sound: {names}; prepare videos with sound"
        )
    return found


def has_features(spec: audio2motion.Spec, clip: SpokenClip) -> bool:
    """Whether a clip has sound, and the features that `spec` names."""
    if clip.audio is None:
        return False
    return hearing.computed(spec) or (clip.source / spec.hears).is_file()


def rows(spec: audio2motion.Spec, clip: SpokenClip) -> np.ndarray:
    """Feature rows of a clip and their loudness, [T, inputs + 1], a hundred a second.

    Features of Whisper have the context of the whole clip.

    Raises:
      ValueError: the clip has no sound, or not the features that `spec` names, or there
        are no weights of Whisper.
    """
    sound = samples(clip)
    if spec.hears == "whisper":
        found = whisper.features(whisper_weights.load(), sound)
        found = found.repeat(audio2motion.RATE // whisper.RATE, axis=0)
        return with_loudness(found, sound)
    if hearing.computed(spec):
        return sound_features.features(sound, spec.hears)
    return rows_of_file(spec, clip.source / spec.hears, sound, len(clip.lip))


def rows_of_file(
    spec: audio2motion.Spec, path: str | os.PathLike, sound: np.ndarray, frames: int
) -> np.ndarray:
    """Feature rows that another program computed, with the loudness of the sound.

    Args:
      spec: sizes of the network.
      path: see `audio_features.read`.
      sound: float [S], 16 kHz mono.
      frames: F of the clip or of the sound.

    Returns:
      float32 [4 F, inputs + 1], a hundred a second.

    Raises:
      ValueError: the features are of another kind than those of `spec`.
    """
    found = audio_features.read(pathlib.Path(path), frames)
    if found.shape[1] != spec.inputs:
        kinds = audio_features.KINDS
        raise ValueError(
            f"{path} holds {kinds[found.shape[1]]} features, and Audio2Motion was "
            f"trained on {kinds[spec.inputs]}; compute those of this sound"
        )
    found = found.repeat(audio2motion.ROWS_PER_FRAME // 2, axis=0)
    return with_loudness(found, sound)


def with_loudness(found: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Rows with the loudness of the sound as another column.

    Args:
      found: [T, inputs], a hundred rows a second.
      sound: float [S], 16 kHz mono.

    Returns:
      float32 [T, inputs + 1].
    """
    loudness = sound_features.features(sound, "loudness")
    if not len(loudness):  # less than a row of sound
        loudness = np.zeros((1, 1), np.float32)
    loudness = loudness[np.minimum(np.arange(len(found)), len(loudness) - 1)]
    return np.concatenate([found, loudness], axis=1)


def windows(spec: audio2motion.Spec, clip: SpokenClip) -> np.ndarray:
    """Windows of feature rows around all frames of a clip, float32 [F, W, inputs].

    Raises:
      ValueError: see `rows`.
    """
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
    return audio2motion.windows(spec, rows(spec, clip)[:, :-1], times)
