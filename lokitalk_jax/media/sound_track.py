"""The sound of a video that is being written, in pieces of any length."""

import contextlib
import os
from collections.abc import Iterator

import av
import numpy as np

from lokitalk_jax.media import sound_file, video_reader

RATE = 48_000

# A file with an audio stream, or samples [T] or [T, channels] and their rate, Hz.
Audio = str | os.PathLike | tuple[np.ndarray, int]

_LAYOUTS = {1: "mono", 2: "stereo"}


def check(audio: Audio) -> None:
    """Refuses a value that is not sound.

    Raises:
      ValueError: there is no such file, it holds no sound, or the samples are empty or
        of another shape or type.
    """
    if isinstance(audio, tuple):
        samples, rate = audio
        usable = samples.dtype == np.int16 or np.issubdtype(samples.dtype, np.floating)
        usable &= samples.ndim == 1 or samples.ndim == 2 and samples.shape[1] <= 2
        if not (usable and samples.size and rate > 0):
            raise ValueError(
                f"audio is {samples.dtype} {samples.shape} at {rate} Hz; need at least "
                "one sample, as [T], [T, 1] or [T, 2], int16 or floats in [-1, 1]"
            )
        return
    with video_reader.open_media(audio) as container:
        if not container.streams.audio:
            raise ValueError(
                f"{audio} holds no audio stream; give another file, or audio=None for "
                "a silent video"
            )


class SoundTrack:
    """Sound at 48 kHz, mono or stereo; a context manager.

    Attributes:
      layout: "mono" or "stereo".
    """

    def __init__(self, audio: Audio):
        """Opens the source, which `check` accepts."""
        with contextlib.ExitStack() as stack:
            if isinstance(audio, tuple):
                samples, rate = audio
                samples = samples.reshape(len(samples), -1)
                channels, source = samples.shape[1], _pieces(samples, rate)
            else:
                container = stack.enter_context(video_reader.open_media(audio))
                channels = min(container.streams.audio[0].channels, 2)
                source = sound_file.decoded(container)
                source = _from_start(source, container.start_time or 0)
            self.layout = _LAYOUTS[channels]
            self._source = sound_file.resampled(source, self.layout, RATE)
            self._rest = np.zeros((channels, 0), np.float32)
            self._stack = stack.pop_all()

    def __enter__(self) -> "SoundTrack":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

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


def _pieces(samples: np.ndarray, rate: int) -> Iterator[av.AudioFrame]:
    if samples.dtype != np.int16:
        samples = samples.astype(np.float32)
    for start in range(0, len(samples), rate):
        yield _frame(samples[start : start + rate].T, rate)


def _from_start(
    frames: Iterator[av.AudioFrame], start_time: int
) -> Iterator[av.AudioFrame]:
    """Frames after as much silence as the stream begins later than its file."""
    for index, frame in enumerate(frames):
        if index == 0 and frame.time is not None:
            late = round((frame.time - start_time / av.time_base) * frame.sample_rate)
            if late > 0:
                channels = min(len(frame.layout.channels), 2)
                silence = np.zeros((channels, late), np.float32)
                yield _frame(silence, frame.sample_rate)
        yield frame
