"""Frames of any program: a video, or a folder of images."""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lokitalk_jax.media import image_file, media_file, video_reader

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class FrameSource(NamedTuple):
    """A source of frames.

    Attributes:
      path: a video, or a folder.
      pictures: the files of a folder, in order; None for a video.
      fps: frames a second; None for a folder, which has no rate.
    """

    path: pathlib.Path
    pictures: tuple[pathlib.Path, ...] | None
    fps: float | None

    def frames(self) -> Iterator[np.ndarray]:
        """Decodes one frame after the other.

        Yields:
          RGB uint8 [H, W, 3].

        Raises:
          ValueError: a file cannot be decoded.
        """
        if self.pictures is None:
            yield from video_reader.read_frames(self.path)
            return
        for path in self.pictures:
            yield image_file.read_rgb(path)


def pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    """The pictures of a folder in order; empty where there is none."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES]
    # 2.jpg before 10.jpg: not every program pads its numbers.
    return sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.stem)])


def open_source(path: str | os.PathLike) -> FrameSource:
    """Opens a video or a folder of images.

    Raises:
      ValueError: there is neither at `path`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        files = pictures(path)
        if not files:
            raise ValueError(
                f"{path} holds no picture ({', '.join(_SUFFIXES)}); give a video or a "
                "folder of frames"
            )
        return FrameSource(path, tuple(files), None)
    if not path.is_file():
        raise ValueError(
            f"no such file or folder: {path}; give a video or a folder of frames"
        )
    try:
        with media_file.open_media(path) as container:
            streams = media_file.picture_streams(container)
            rate = streams[0].average_rate
    except IndexError as error:
        raise ValueError(
            f"{path} holds no video stream; give a video or a folder of frames"
        ) from error
    return FrameSource(path, None, float(rate) if rate else None)
