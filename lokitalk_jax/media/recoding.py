"""Frames as they look after video encoding: H.264, encoded and decoded in memory."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from lokitalk_jax import structs
from lokitalk_jax.media import colours

_BEST, _WORST = 0, 51  # of x264's constant rate factor


def rate_factor(text: str) -> int:
    """The constant rate factor that a text such as crf23 names.

    Raises:
      ValueError: it names none.
    """
    found = re.fullmatch(r"crf(\d+)", text)
    if not found or not _BEST <= int(found[1]) <= _WORST:
        raise ValueError(f"recode={text} must be crf0 to crf51, such as crf23")
    return int(found[1])


class Coder:
    """Encodes and decodes the frames of one clip; a few dozen stay inside."""

    def __init__(self, factor: int):
        """Starts without frames.

        Args:
          factor: x264's constant rate factor; higher is worse.
        """
        self._factor = factor
        self._encoder: Any = None
        self._decoder: Any = av.CodecContext.create("h264", "r")
        self._count = 0
        self._shape: tuple[int, ...] = ()

    def push(self, frame: np.ndarray) -> list[np.ndarray]:
        """Adds a frame, uint8 RGB [H, W, 3].

        Returns:
          coded frames that are complete by now, in order, uint8 RGB [H, W, 3].
        """
        if self._encoder is None:
            self._shape = frame.shape
            self._encoder = self._opened()
        height, width = self._shape[:2]
        # H.264 holds even sizes only.
        padding = ((0, height % 2), (0, width % 2), (0, 0))
        picture = av.VideoFrame.from_ndarray(np.pad(frame, padding, "edge"), "rgb24")
        picture = picture.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        )
        picture.pts = self._count
        self._count += 1
        return self._decoded(self._encoder.encode(picture))

    def finish(self) -> list[np.ndarray]:
        """The frames that are left, uint8 RGB [H, W, 3]."""
        if self._encoder is None:
            return []
        return self._decoded([*self._encoder.encode(None), None])

    def _opened(self) -> Any:
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.height, encoder.width = (x + x % 2 for x in self._shape[:2])
        encoder.pix_fmt = "yuv420p"
        encoder.framerate = structs.FPS
        encoder.options = {"crf": str(self._factor)}
        encoder.colorspace = Colorspace.ITU709
        encoder.color_range = ColorRange.MPEG
        return encoder

    def _decoded(self, packets: Iterable[Any]) -> list[np.ndarray]:
        height, width = self._shape[:2]
        return [
            colours.to_rgb(frame)[:height, :width]
            for packet in packets
            for frame in self._decoder.decode(packet)
        ]


def recoded(frames: Iterable[np.ndarray], factor: int) -> Iterator[np.ndarray]:
    """All frames, uint8 RGB [H, W, 3], after encoding; see `Coder`."""
    coder = Coder(factor)
    for frame in frames:
        yield from coder.push(frame)
    yield from coder.finish()
