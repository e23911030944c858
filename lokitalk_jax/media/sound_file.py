"""Reads sound files of any format that PyAV opens, in pieces of little memory."""

import itertools
import os
from collections.abc import Iterable, Iterator

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from lokitalk_jax import structs
from lokitalk_jax.media import video_reader

_LOUD = 1e-4  # a sample above this is not silence


def read(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Decodes a file's first audio stream.

    Any container, rate, width and number of channels; channels are averaged. A
    truncated file is read as far as possible.

    Args:
      path: a sound or video file.

    Yields:
      float32 [S], 16 kHz mono in [-1, 1]; pieces of about a second or less.

    Raises:
      ValueError: there is no such file, it holds no sound, none that can be decoded,
        or samples that are not finite.
    """
    with video_reader.open_media(path) as container:
        if not container.streams.audio:
            raise ValueError(f"{path} holds no audio stream; give a file with sound")
        count = 0
        for (piece,) in resampled(decoded(container), "mono", structs.AUDIO_RATE):
            if not np.isfinite(piece).all():
                first = count + np.flatnonzero(~np.isfinite(piece))[0]
                raise ValueError(
                    f"{path} holds samples that are not numbers, the first at "
                    f"{first / structs.AUDIO_RATE:.2f} s; save it again"
                )
            count += len(piece)
            yield piece
    if not count:
        raise ValueError(
            f"the audio stream of {path} holds nothing that can be decoded; save the "
            "file again"
        )


def check(path: str | os.PathLike) -> float:
    """Reads a whole file.

    Returns:
      Its length in seconds.

    Raises:
      ValueError: as `read`, or it is silent from start to end.
    """
    count, loudest = 0, 0.0
    for piece in read(path):
        count += len(piece)
        loudest = max(loudest, float(np.abs(piece).max(initial=0.0)))
    if loudest < _LOUD:
        raise ValueError(
            f"{path} is silent: no sample of its {count / structs.AUDIO_RATE:.1f} s is "
            f"above {_LOUD}; give a file with speech"
        )
    return count / structs.AUDIO_RATE


def decoded(container: InputContainer) -> Iterator[av.AudioFrame]:
    """Frames of the first audio stream; broken or cut-off packets are skipped."""
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue  # the next may be whole
        yield from frames


def resampled(
    frames: Iterable[av.AudioFrame], layout: str, rate: int
) -> Iterator[np.ndarray]:
    """Samples of frames, float32 [channels, T], without the holes between frames.

    Args:
      frames: of any formats.
      layout: "mono" or "stereo".
      rate: of the result, Hz.
    """

    def kind(frame: av.AudioFrame) -> tuple:
        return frame.format.name, frame.layout.name, frame.sample_rate

    for _, alike in itertools.groupby(frames, kind):
        resampler = av.AudioResampler("fltp", layout, rate)
        for frame in alike:
            frame.pts = None  # the resampler would fill holes itself
            yield from (out.to_ndarray() for out in resampler.resample(frame))
        yield from (out.to_ndarray() for out in resampler.resample(None))
