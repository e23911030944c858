"""Reads video files frame by frame, so a clip's length costs no memory.

Preparation and evaluation read pictures by this module alone: progressive, in the
colours and the orientation that a player shows.
"""

import logging
import os
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from lokitalk_jax.media import colours, media_file
from lokitalk_jax.media.deinterlacing import Deinterlacer
from lokitalk_jax.media.orientation import Orientation

_LOG = logging.getLogger(__name__)


def read_frames(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Decodes a video's frames in order; says where a file is cut off.

    Args:
      path: any video that PyAV opens.

    Yields:
      RGB uint8 [H, W, 3].

    Raises:
      ValueError: there is no such file, or it holds no video.
    """
    with media_file.open_media(path) as container:
        streams = media_file.picture_streams(container)
        if not streams:
            raise ValueError(f"{path} holds no video stream; give a video")
        stated = media_file.stated_length(container, streams[0])
        rate = streams[0].average_rate
        spacing = float(1 / rate) if rate else 0.0
        orientation, end = None, None
        for frame in decoded(container, streams[0]):
            orientation = orientation or Orientation.of(frame)
            if frame.time is not None:
                end = frame.time + spacing - media_file.start_time(container)
            yield orientation.apply(colours.to_rgb(frame))
        cut_off = end is not None and media_file.cut_off(end, stated)
    if cut_off:
        _LOG.warning("%s is %s", path, cut_off)


def decoded(
    container: InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    """Progressive frames of a stream, from where the container is.

    Broken packets are skipped.
    """
    stream.thread_type = "AUTO"
    deinterlacer = Deinterlacer()
    for packet in media_file.packets(container, stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue  # the next may be whole
        for frame in frames:
            yield from deinterlacer.push(frame)
    yield from deinterlacer.finish()
