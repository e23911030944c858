"""The sound of a video that is being written, in pieces of any length."""

import os
from collections.abc import Iterator

import av
import numpy as np

from lokitalk_jax.media import sound_file, sound_stream
from lokitalk_jax.media.sound_file import Sound

RATE = 48_000

# A file with an audio stream, a track of one, or samples [T] or [T, channels] and
# their rate, Hz.
Audio = str | os.PathLike | Sound | tuple[np.ndarray, int]

_LAYOUTS = {1: "mono", 2: "stereo"}


def opened(audio: Audio) -> "SoundTrack":
    """Opens a sound.

    Raises:
      ValueError: there is no such file, it holds no sound, or the samples are empty or
        of another shape or type.
    """
    if not isinstance(audio, Sound) and isinstance(audio, tuple):
        samples, rate = audio
        usable = samples.dtype == np.int16 or np.issubdtype(samples.dtype, np.floating)
        usable &= samples.ndim == 1 or samples.ndim == 2 and samples.shape[1] <= 2
        if not (usable and samples.size and rate > 0):
            raise ValueError(
                f"audio is {samples.dtype} {samples.shape} at {rate} Hz; give at least "
                "one sample, as [T], [T, 1] or [T, 2], int16 or floats in [-1, 1]"
            )
        samples = samples.reshape(len(samples), -1)
        layout = _LAYOUTS[samples.shape[1]]
        pieces = _pieces(samples, rate)
        return SoundTrack(sound_stream.resampled(pieces, layout, RATE, 0.0), layout)
    sound = audio if isinstance(audio, Sound) else sound_file.open_sound(audio)
    layout = _LAYOUTS[sound.channels]
    return SoundTrack(sound.samples(layout, RATE), layout)


class SoundTrack:
    """Sound at 48 kHz, mono or stereo, from its beginning.

    Attributes:
      layout: "mono" or "stereo".
    """

    def __init__(self, pieces: Iterator[np.ndarray], layout: str):
        """Takes samples, float32 [channels, T] at `RATE`; see `opened`."""
        self.layout = layout
        self._source = pieces
        channels = {"mono": 1, "stereo": 2}[layout]
        self._rest = np.zeros((channels, 0), np.float32)

    def read(self, count: int) -> av.AudioFrame:
        """The next `count` samples; silence after the end."""
        parts, missing = [self._rest], count - self._rest.shape[1]
        while missing > 0:
            part = next(self._source, None)
            if part is None:
                part = np.zeros((len(self._rest), missing), np.float32)
            parts.append(part)
            missing -= part.shape[1]
        samples = np.concatenate(parts, axis=1)
        self._rest = samples[:, count:]
        return _frame(samples[:, :count], RATE)


def _frame(samples: np.ndarray, rate: int) -> av.AudioFrame:
    """A frame of samples [channels, T], float32 or int16."""
    kind = "s16p" if samples.dtype == np.int16 else "fltp"
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples), kind, _LAYOUTS[len(samples)]
    )
    frame.sample_rate = rate
    return frame


def _pieces(
    samples: np.ndarray, rate: int
) -> Iterator[tuple[float | None, av.AudioFrame]]:
    """Frames of samples and their times, see `sound_stream.stretches`."""
    if samples.dtype != np.int16:
        samples = samples.astype(np.float32)
    for start in range(0, len(samples), rate):
        time = 0.0 if start == 0 else None
        yield time, _frame(samples[start : start + rate].T, rate)
