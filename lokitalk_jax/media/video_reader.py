"""Reads video files frame by frame, so a clip's length costs no memory."""

import os
from collections.abc import Iterator

import av
import numpy as np
from av.video.reformatter import Interpolation

from lokitalk_jax.media import media_file


def read_frames(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Decodes a video's frames in order, as they are stored.

    Args:
      path: any video that PyAV opens.

    Yields:
      RGB uint8 [H, W, 3].

    Raises:
      ValueError: there is no such file, or it holds no video.
    """
    with media_file.open_media(path) as container:
        if not container.streams.video:
            raise ValueError(f"{path} holds no video stream")
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield to_rgb(frame)


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Converts a decoded frame to RGB uint8 [H, W, 3] by the matrix it is tagged with.

    The default conversion truncates: 4:2:0 video comes out 1 to 1.5 levels too dark.
    """
    rounded = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.to_ndarray(
        format="rgb24", interpolation=Interpolation.BILINEAR | rounded
    )
