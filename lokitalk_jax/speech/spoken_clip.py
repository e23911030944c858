"""Clips as a voice learns from them: who speaks, what is heard, how the lips move."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.io.wavfile

from lokitalk_jax.data import audio_features
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.speech import audio2motion, sound_features


class SpokenClip(NamedTuple):
    """What there is to learn from in a clip of F frames.

    Attributes:
      name: whose.
      audio: its sound, a 16 kHz WAV file; None where it has none.
      source: the identity folder, where features of other programs lie.
      lip: [F, D_lip], tracked coefficients.
      train_frames, test_frames: frame numbers.
    """

    name: str
    audio: pathlib.Path | None
    source: pathlib.Path
    lip: np.ndarray
    train_frames: np.ndarray
    test_frames: np.ndarray


def of_record(record: ClipRecord) -> SpokenClip:
    """The clip of a portrait."""
    p, lip = record, record.signals.lip
    return SpokenClip(p.name, p.audio, p.source, lip, p.train_frames, p.test_frames)


def samples(clip: SpokenClip | ClipRecord) -> np.ndarray:
    """A clip's sound, float32 [S], 16 kHz mono in [-1, 1].

    Raises:
      ValueError: the clip has no sound.
    """
    if clip.audio is None:
        raise ValueError(f"the clip of {clip.name!r} has no sound")
    return scipy.io.wavfile.read(clip.audio)[1].astype(np.float32) / 32768


def with_sound(clips: Sequence[SpokenClip]) -> list[SpokenClip]:
    """Those that have sound.

    Raises:
      ValueError: none has.
    """
    heard = [one for one in clips if one.audio is not None]
    if not heard:
        names = ", ".join(one.name for one in clips)
        raise ValueError(f"none of the clips has sound: {names}")
    return heard


def rows(spec: audio2motion.Spec, clip: SpokenClip) -> np.ndarray:
    """What a voice hears in a clip, float32 [time, inputs], a hundred rows a second.

    Raises:
      ValueError: the clip has no sound, or not the features that the voice hears.
    """
    heard = samples(clip)
    if spec.streams:
        return sound_features.features(heard, spec.hears)
    return rows_of_file(spec, clip.source / spec.hears, heard, len(clip.lip))


def rows_of_file(
    spec: audio2motion.Spec, path: pathlib.Path, heard: np.ndarray, frames: int
) -> np.ndarray:
    """The same from a file of features; loudness is that of the sound.

    Args:
      spec: of the voice.
      path: see `audio_features.read`.
      heard: float [S], 16 kHz mono.
      frames: F of the clip or of the sound.

    Raises:
      ValueError: the features are of another kind than the voice has learned from.
    """
    found = audio_features.read(path, frames)
    if found.shape[1] + 1 != spec.inputs:
        kinds = audio_features.KINDS
        raise ValueError(
            f"{path} holds {kinds[found.shape[1]]} features, the voice has learned "
            f"from {kinds[spec.inputs - 1]}"
        )
    found = found.repeat(audio2motion.ROWS_PER_FRAME // 2, axis=0)
    loudness = sound_features.features(heard, "mel")[:, -1:]
    if not len(loudness):  # less than a row of sound
        loudness = np.zeros((1, 1), np.float32)
    loudness = loudness[np.minimum(np.arange(len(found)), len(loudness) - 1)]
    return np.concatenate([found, loudness], axis=1)
