"""Writes video files frame by frame, so a clip's length costs no memory."""

import contextlib
import fractions
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple, Self

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from lokitalk_jax import files, structs
from lokitalk_jax.media import sound_track, synthetic
from lokitalk_jax.media.sound_track import Audio


class _Codec(NamedTuple):
    """How pictures and sound are encoded."""

    video: str
    pixels: str
    options: dict[str, str]
    sound: str
    sound_bits: int  # a second


_H264 = _Codec("libx264", "yuv420p", {"crf": "16", "preset": "fast"}, "aac", 160_000)
_PRORES = _Codec("prores_ks", "yuva444p10le", {"profile": "4444"}, "aac", 160_000)
_VP9_OPTIONS = {"crf": "18", "b": "0", "row-mt": "1", "deadline": "good"}
_VP9_OPTIONS |= {"cpu-used": "4"}
_VP9 = _Codec("libvpx-vp9", "yuva420p", _VP9_OPTIONS, "libopus", 128_000)

# By suffix, and whether frames have alpha.
_CODECS = {
    (".mp4", False): _H264,
    (".mov", False): _H264,
    (".mov", True): _PRORES,
    (".webm", True): _VP9,
}


class VideoWriter:
    """Encodes frames as they come; the file appears, whole, when the block ends.

    Used as `with VideoWriter(path, size=(512, 512)) as video: video.write(rgb)`. If
    the block raises, nothing is left and a file that was at `path` stays as it was.
    The sound starts with the first frame and is cut, or padded with silence, to the
    length of the pictures. H.264 holds even sizes only: an odd width or height is
    made even by repeating the last column or row.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fps: float = structs.FPS,
        *,
        size: tuple[int, int],
        audio: Audio | None = None,
        alpha: bool = False,
        synthetic: bool = True,
    ):
        """Checks the request; nothing is written before the `with` block starts.

        Args:
          path: `.mp4` or `.mov` (H.264); with `alpha`, `.mov` (ProRes 4444) or
            `.webm` (VP9).
          fps: frames a second.
          size: width and height of the frames, pixels.
          audio: a file with an audio stream, a track of one, or samples [T], [T, 1] or
            [T, 2] (floats in [-1, 1] or int16) and their rate in Hz; None for no sound.
          alpha: frames are RGBA, the colour not multiplied by alpha.
          synthetic: marks the file as synthetic media in its metadata. False only for
            real footage, such as a preview of the tracks.

        Raises:
          ValueError: the suffix, size, fps or audio cannot be used.
        """
        self.path = pathlib.Path(path)
        self._fps = fractions.Fraction(fps).limit_denominator(100_000)
        self._size = tuple(int(side) for side in size)
        self._alpha = alpha
        self._synthetic = synthetic
        kind = self.path.suffix.lower(), alpha
        if kind not in _CODECS:
            allowed = [suffix for suffix, with_alpha in _CODECS if with_alpha == alpha]
            raise ValueError(
                f"{self.path}: a video {'with' if alpha else 'without'} alpha cannot "
                f"be a {self.path.suffix!r} file; use one of {', '.join(allowed)}"
            )
        self._codec = _CODECS[kind]
        if min(self._size) < 2 or self._fps <= 0:
            raise ValueError(
                f"{self.path}: size={size} fps={fps} cannot be written; give at least "
                "2x2 pixels and a positive rate"
            )
        if not self.path.absolute().parent.is_dir():
            raise ValueError(f"no folder {self.path.parent}; make it first")
        self._sound = None if audio is None else sound_track.opened(audio)
        width, height = self._size
        self._padding = (0, 0) if alpha else (height % 2, width % 2)
        self._open = False
        self.frame_count = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack, self._failing():
            files.sweep(self.path.absolute().parent)
            temporary = stack.enter_context(files.replacing(self.path))
            self._container = stack.enter_context(self._container_at(temporary))
            self._video = self._add_video_stream()
            self._reformatter = VideoReformatter()
            if self._sound is not None:
                self._sound_stream = self._add_sound_stream(self._sound.layout)
                self._sound_count = 0
            self._stack = stack.pop_all()
        self._open = True
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame.

        Args:
          frame: uint8 RGB [height, width, 3], or RGBA [height, width, 4] with `alpha`.

        Raises:
          ValueError: the frame has another shape or type.
          OSError: the file could not be written (the disk is full, say).
        """
        if not self._open:
            raise ValueError(f"{self.path} is not open; write inside its with block")
        width, height = self._size
        shape = (height, width, 4 if self._alpha else 3)
        if frame.shape != shape or frame.dtype != np.uint8:
            raise ValueError(
                f"frame {self.frame_count} of {self.path} is {frame.dtype} "
                f"{frame.shape}, the video takes uint8 {shape}"
            )
        bottom, right = self._padding
        if bottom or right:
            frame = np.pad(frame, ((0, bottom), (0, right), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame), "rgba" if self._alpha else "rgb24"
        )
        # Players guess the YCbCr matrix of an untagged file from its height, so BT.709
        # is both applied and written down.
        picture = self._reformatter.reformat(
            picture,
            format=self._codec.pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            dst_color_primaries=ColorPrimaries.BT709,
            dst_color_trc=ColorTrc.BT709,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        )
        picture.pts, picture.time_base = self.frame_count, 1 / self._fps
        with self._failing():
            self._container.mux(self._video.encode(picture))
            self.frame_count += 1
            self._write_sound()

    def __exit__(self, kind, error, traceback) -> None:
        self._open = False
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack, self._failing():
            if not self.frame_count:
                raise ValueError(f"no frame was written to {self.path}; write one")
            self._container.mux(self._video.encode(None))
            if self._sound:
                self._container.mux(self._sound_stream.encode(None))
            self._container.close()

    def _add_video_stream(self) -> av.VideoStream:
        stream = self._container.add_stream(
            self._codec.video, rate=self._fps, options=dict(self._codec.options)
        )
        assert isinstance(stream, av.VideoStream)
        (width, height), (bottom, right) = self._size, self._padding
        stream.width, stream.height = width + right, height + bottom
        stream.pix_fmt = self._codec.pixels
        context = stream.codec_context
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        if self._codec is _VP9:
            # Browsers look for transparency only where the track announces it.
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _add_sound_stream(self, layout: str) -> av.AudioStream:
        stream = self._container.add_stream(
            self._codec.sound,
            rate=sound_track.RATE,
            layout=layout,
            bit_rate=self._codec.sound_bits,
        )
        assert isinstance(stream, av.AudioStream)
        return stream

    @contextlib.contextmanager
    def _container_at(self, path: pathlib.Path) -> Iterator[OutputContainer]:
        """The container; closed silently where the block left it open."""
        # The index in front, so that a browser plays while it loads.
        options = {} if self._codec is _VP9 else {"movflags": "+faststart"}
        container = av.open(f"file:{path}", "w", options=options)
        try:
            if self._synthetic:
                for tag in ("comment", "description"):
                    container.metadata[tag] = synthetic.NOTE
            yield container
        finally:
            with contextlib.suppress(FFmpegError):
                container.close()

    def _write_sound(self) -> None:
        """Writes the sound of the last frame."""
        if self._sound is None:
            return
        until = round(self.frame_count * sound_track.RATE / self._fps)
        if until > self._sound_count:
            piece = self._sound.read(until - self._sound_count)
            piece.pts = self._sound_count
            piece.time_base = fractions.Fraction(1, sound_track.RATE)
            self._container.mux(self._sound_stream.encode(piece))
            self._sound_count = until

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Turns errors of the encoder into an OSError."""
        try:
            yield
        except FFmpegError as error:
            raise OSError(
                error.errno,
                f"could not write {self.path} after {self.frame_count} frames: "
                f"{error.strerror}",
            ) from error
