"""The sound of a video, on the clock of its frames."""

import logging

import numpy as np

from lokitalk_jax.media import sound_file
from lokitalk_jax.media.sound_file import Sound
from lokitalk_jax.preparation import source_video

_LOG = logging.getLogger(__name__)


def find(clip: source_video.Clip, track: int | None) -> Sound:
    """The track of a video that is the person's.

    Args:
      clip: a video with an audio stream.
      track: its number, or None for the one that `sound_file.open_sound` chooses.

    Raises:
      UnusableVideo: it cannot be decoded.
    """
    try:
        sound = sound_file.open_sound(clip.path, track)
    except ValueError as error:
        raise source_video.UnusableVideo(
            f"{error}, or prepare the video with audio=False"
        ) from error
    if sound.silent:
        remedy = "the identity will learn no speech from it"
        if sound.louder:
            remedy = f"track {sound.louder[0]} is not: audio_track={sound.louder[0]}"
        _LOG.warning(
            "audio track %d of %s is silent; %s", sound.track, sound.path, remedy
        )
    return sound


def read(clip: source_video.Clip, sound: Sound, start: float, count: int) -> np.ndarray:
    """Sound from time `start` of the video: float32 [count], 16 kHz, mono.

    Sound that begins late, stops early or has holes is filled with silence, so that
    samples keep their time.

    Args:
      clip: a video.
      sound: of `find`.
      start: seconds from the video's first frame.
      count: samples.
    """
    samples = np.zeros(count, np.float32)
    place = 0
    for piece in sound.read(clip.origin + start):
        piece = piece[: count - place]
        samples[place : place + len(piece)] = piece
        place += len(piece)
        if place == count:
            break
    return samples
