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
from av.error import FFmpegError

from lokitalk_jax import structs
from lokitalk_jax.media import colours, media_file, video_reader
from lokitalk_jax.media.orientation import Orientation

CLOCK = 1e-3  # rounding of container clocks, seconds


class UnusableVideo(ValueError):
    """A video that decodes but cannot become an identity."""


class Clip(NamedTuple):
    """The video of a file, as its container describes it.

    Attributes:
      path: the file.
      height, width: of the upright frame with square pixels.
      orientation: sets a decoded frame upright.
      origin: container time of the first frame, seconds.
      spacing: seconds between two frames, nominally.
      duration: seconds, as the container states; 0 where it does not.
      has_audio: whether there is an audio stream.
    """

    path: pathlib.Path
    height: int
    width: int
    orientation: Orientation
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
    try:
        with media_file.open_media(path) as container:
            pictures = media_file.picture_streams(container)
            if not pictures:
                raise ValueError(
                    f"{path} holds no video stream; give a video of a person"
                )
            stream = pictures[0]
            frame = next(video_reader.decoded(container, stream))
            rate = stream.average_rate or stream.guessed_rate or structs.FPS
            orientation = Orientation.of(frame)
            width, height = frame.width, frame.height
            aspect = stream.sample_aspect_ratio
            if aspect:
                width = round(width * float(aspect))
            if orientation.swaps_sides:
                width, height = height, width
            origin = frame.time or 0.0
            stated = media_file.stated_length(container, stream) or 0.0
            return Clip(
                path=path,
                height=height,
                width=width,
                orientation=orientation,
                origin=origin,
                spacing=float(1 / rate),
                duration=max(stated + media_file.start_time(container) - origin, 0.0),
                has_audio=bool(container.streams.audio),
            )
    except (FFmpegError, StopIteration) as error:
        raise ValueError(
            f"{path} is not a video that can be decoded ({error or 'no frames'}); "
            "if a player shows it, save it again as mp4"
        ) from error


def decode(
    clip: Clip, start: float = 0.0, end: float | None = None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (time, frame) over [start, end), from the frame shown at `start`.

    Frames are as they are stored; `upright` makes images of them. The same arguments
    give the same sequence.
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
    with media_file.open_media(clip.path) as container:
        stream = media_file.picture_streams(container)[0]
        if start > 1:
            # A second early: the seek goes by decoding time, which runs ahead.
            target = (clip.origin + start - 1) / float(stream.time_base or 1)
            container.seek(int(target), stream=stream, backward=True)
        previous = -np.inf
        for frame in video_reader.decoded(container, stream):
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
    if clip.orientation.swaps_sides:
        height, width = width, height
    return clip.orientation.apply(colours.to_rgb(frame, width, height))
