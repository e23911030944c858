"""Decodes any video that PyAV opens, upright and in its own time.

Times are seconds from the first frame of the video, as a player shows them: containers
start their streams at any time.
"""

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition

from lokitalk_jax import structs

CLOCK = 1e-3  # rounding of container clocks, seconds


class UnusableVideo(ValueError):
    """A video that decodes but cannot become an identity."""


class Clip(NamedTuple):
    """The video of a file, by what its container states.

    Attributes:
      path: the file.
      height, width: of the upright frame with square pixels.
      turns: quarter turns, counterclockwise, that set a decoded frame upright.
      origin: container time of the first frame, seconds.
      spacing: seconds between two frames, nominally.
      duration: seconds, as the container states; 0 where it does not.
      has_audio: whether there is an audio stream.
    """

    path: pathlib.Path
    height: int
    width: int
    turns: int
    origin: float
    spacing: float
    duration: float
    has_audio: bool


def probe(path: str | os.PathLike) -> Clip:
    """Reads the head of a video.

    Raises:
      ValueError: there is no such file, or no video in it.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    try:
        with av.open(str(path)) as container:
            pictures = [s for s in container.streams.video if not _is_cover(s)]
            if not pictures:
                raise ValueError(
                    f"{path} holds no video stream; give a video of a person"
                )
            stream = pictures[0]
            frame = next(container.decode(stream))
            rate = stream.average_rate or stream.guessed_rate or structs.FPS
            turns = round(frame.rotation / 90) % 4
            width, height = frame.width, frame.height
            aspect = stream.sample_aspect_ratio
            if aspect:
                width = round(width * float(aspect))
            if turns % 2:
                width, height = height, width
            return Clip(
                path=path,
                height=height,
                width=width,
                turns=turns,
                origin=frame.time or 0.0,
                spacing=float(1 / rate),
                duration=(container.duration or 0) / av.time_base,
                has_audio=bool(container.streams.audio),
            )
    except (FFmpegError, StopIteration) as error:
        raise ValueError(
            f"{path} is not a video that can be decoded ({error or 'no frames'}); "
            "if a player shows it, save it again as mp4"
        ) from error


def _is_cover(stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def decode(
    clip: Clip, start: float = 0.0, end: float | None = None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (time, frame) over [start, end), from the frame shown at `start`.

    Frames are as the codec gives them; `upright` makes images of them. The same
    arguments give the same sequence.
    """
    shown = None
    for time, frame in _all_frames(clip, start):
        if time <= start + CLOCK:
            shown = time, frame
            continue
        if shown is not None:
            yield shown
            shown = None
        if end is not None and time >= end - CLOCK:
            return
        yield time, frame
    if shown is not None:
        yield shown


def _all_frames(clip: Clip, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames in order from the key frame before `start`; broken packets are skipped."""
    with av.open(str(clip.path)) as container:
        stream = next(s for s in container.streams.video if not _is_cover(s))
        stream.thread_type = "AUTO"
        if start > 1:
            # A second early: the seek goes by decoding time, which runs ahead.
            target = (clip.origin + start - 1) / float(stream.time_base or 1)
            container.seek(int(target), stream=stream, backward=True)
        previous = -np.inf
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue
            for frame in frames:
                if frame.time is None:
                    time = previous + clip.spacing if np.isfinite(previous) else 0.0
                else:
                    time = frame.time - clip.origin
                if time > previous:
                    previous = time
                    yield time, frame


def upright(clip: Clip, frame: av.VideoFrame, longest: int | None = None) -> np.ndarray:
    """A frame as an upright image, RGB uint8 [H, W, 3].

    Args:
      clip: the video.
      frame: of the video, by `decode`.
      longest: shrinks the longest side to this many pixels.
    """
    height, width = clip.height, clip.width
    if longest and max(height, width) > longest:
        scale = longest / max(height, width)
        height, width = round(height * scale), round(width * scale)
    if clip.turns % 2:
        height, width = width, height
    rgb = frame.to_ndarray(
        format="rgb24", width=width, height=height, interpolation="AREA"
    )
    return np.rot90(rgb, clip.turns) if clip.turns else rgb
