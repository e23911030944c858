"""Reads sound files of any format that PyAV opens, in pieces of little memory."""

import os
import pathlib
from collections.abc import Iterator

import av
import numpy as np
from av.error import FFmpegError

from lokitalk_jax import structs

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
    if not pathlib.Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise ValueError(f"{path} is not a sound or video file: {error}") from error
    with container:
        if not container.streams.audio:
            raise ValueError(f"{path} holds no audio stream; give a file with sound")
        count = 0
        for piece in _decoded(container, container.streams.audio[0]):
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


def _decoded(container, stream) -> Iterator[np.ndarray]:
    resampler = av.AudioResampler("flt", "mono", structs.AUDIO_RATE)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue  # a broken or cut-off packet; the next may be whole
        for frame in frames:
            frame.pts = None  # the resampler would fill holes itself
            for out in resampler.resample(frame):
                yield out.to_ndarray()[0]
    try:
        rest = resampler.resample(None)
    except (FFmpegError, ValueError):
        return  # it never got a frame
    for out in rest:
        yield out.to_ndarray()[0]
