"""Video files: frames in and out one at a time, so a clip's length costs no memory."""

import contextlib
import fractions
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator

import av
import imageio_ffmpeg
import numpy as np
import scipy.io.wavfile
from av.video.reformatter import Interpolation

from lokitalk_jax import files, structs

SYNTHETIC_NOTE = (
    "synthetic media: the person's face and motion were rendered by a neural radiance "
    "field (LokiTalk-JAX); IPTC digital source type: trainedAlgorithmicMedia"
)

# The frames are sRGB. Players guess the YCbCr matrix of an untagged file from its
# height, so it is both applied and written down.
_BT709 = ["-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd"]
_BT709 += ["-color_range", "tv", "-colorspace", "bt709"]
_BT709 += ["-color_primaries", "bt709", "-color_trc", "bt709"]

_H264 = ["-c:v", "libx264", "-crf", "16", "-preset", "fast", "-pix_fmt", "yuv420p"]
_PRORES = ["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"]
_VP9 = ["-c:v", "libvpx-vp9", "-crf", "18", "-b:v", "0", "-row-mt", "1"]
_VP9 += ["-deadline", "good", "-cpu-used", "4", "-pix_fmt", "yuva420p"]
_AAC = ["-c:a", "aac", "-b:a", "160k", "-ar", "48000"]
_OPUS = ["-c:a", "libopus", "-b:a", "128k", "-ar", "48000"]

# (suffix, alpha) -> how pictures and sound are encoded.
_FORMATS = {
    (".mp4", False): (_H264, _AAC),
    (".mov", False): (_H264, _AAC),
    (".mov", True): (_PRORES, _AAC),
    (".webm", True): (_VP9, _OPUS),
}

Audio = os.PathLike | str | tuple[np.ndarray, int]


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
        path: os.PathLike | str,
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
          audio: a file with an audio stream, or samples [T] or [T, channels] (float
            in [-1, 1] or int16) and their rate in Hz; None for no sound.
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
        self._audio = audio
        self._synthetic = synthetic
        if (self.path.suffix, alpha) not in _FORMATS:
            allowed = [suffix for suffix, with_alpha in _FORMATS if with_alpha == alpha]
            kind = "with alpha" if alpha else "without alpha"
            raise ValueError(
                f"{self.path}: a video {kind} cannot be a {self.path.suffix!r} file; "
                f"use one of {', '.join(allowed)}"
            )
        if min(self._size) < 2 or self._fps <= 0:
            raise ValueError(
                f"{self.path}: size {size} and {fps} frames a second; need at least "
                "2x2 pixels and a positive rate"
            )
        if not self.path.parent.is_dir():
            raise ValueError(f"no folder {self.path.parent}; make it first")
        _check_audio(audio)
        even = self._size if alpha else tuple(side + side % 2 for side in self._size)
        self._padding = even[1] - self._size[1], even[0] - self._size[0]
        self._stored_size = even
        self._process: subprocess.Popen | None = None
        self.frame_count = 0

    def __enter__(self) -> "VideoWriter":
        with contextlib.ExitStack() as stack:
            scratch = tempfile.TemporaryDirectory(
                prefix=f".{self.path.stem}-", dir=self.path.parent
            )
            self._scratch = pathlib.Path(stack.enter_context(scratch))
            self._pictures = self._scratch / f"pictures{self.path.suffix}"
            self._log = stack.enter_context(open(self._scratch / "log", "w+"))
            pixels = "rgba" if self._alpha else "rgb24"
            width, height = self._stored_size
            codec, _ = _FORMATS[self.path.suffix, self._alpha]
            self._process = self._start(
                ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}"]
                + ["-r", str(self._fps), "-i", "pipe:0", *_BT709, *codec]
                + [str(self._pictures)]
            )
            stack.callback(self._kill)
            self._stack = stack.pop_all()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends one frame.

        Args:
          frame: uint8 RGB [height, width, 3], or RGBA [height, width, 4] with `alpha`.

        Raises:
          ValueError: the frame has another shape or type.
          OSError: ffmpeg stopped, because the disk is full, say.
        """
        if self._process is None:
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
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except OSError as error:
            self._process.wait()
            raise self._failure() from error
        self.frame_count += 1

    def __exit__(self, kind, error, traceback) -> None:
        with self._stack:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        if not self.frame_count:
            raise ValueError(f"no frame was written to {self.path}")
        with contextlib.suppress(BrokenPipeError):  # the exit status says why
            self._process.stdin.close()
        if self._process.wait():
            raise self._failure()
        arguments = ["-i", str(self._pictures)]
        if self._audio is not None:
            _, codec = _FORMATS[self.path.suffix, self._alpha]
            samples = round(self.frame_count * 48_000 / self._fps)
            arguments += ["-i", str(self._audio_file()), "-map", "0:v:0"]
            arguments += ["-map", "1:a:0", *codec]
            arguments += ["-af", f"aresample=48000,apad,atrim=end_sample={samples}"]
        arguments += ["-c:v", "copy", "-map_metadata", "-1"]
        if self._synthetic:
            for tag in ("comment", "description"):
                arguments += ["-metadata", f"{tag}={SYNTHETIC_NOTE}"]
        if self.path.suffix == ".webm":
            # Browsers look for transparency only where the track announces it.
            arguments += ["-metadata:s:v:0", "alpha_mode=1"]
        else:
            arguments += ["-movflags", "+faststart"]
        with files.replacing(self.path) as temporary:
            self._process = self._start([*arguments, str(temporary)])
            self._process.stdin.close()
            if self._process.wait():
                raise self._failure()

    def _audio_file(self) -> pathlib.Path:
        if not isinstance(self._audio, tuple):
            return pathlib.Path(self._audio)
        samples, rate = self._audio
        if samples.dtype != np.int16:
            samples = samples.astype(np.float32)
        path = self._scratch / "audio.wav"
        scipy.io.wavfile.write(path, rate, samples)
        return path

    def _start(self, arguments: list[str]) -> subprocess.Popen:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostats", "-y"]
        # In its own session, so that Ctrl-C reaches the program alone, which then
        # decides what becomes of the file.
        return subprocess.Popen(
            command + arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
        )

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # what was buffered has nowhere to go
            self._process.stdin.close()
        self._process = None

    def _failure(self) -> OSError:
        self._log.seek(0)
        said = self._log.read().strip()[-2000:] or "nothing; is the disk full?"
        return OSError(
            f"could not write {self.path} after {self.frame_count} frames: ffmpeg "
            f"ended with status {self._process.returncode}, saying: {said}"
        )


def read_frames(path: os.PathLike | str) -> Iterator[np.ndarray]:
    """Decodes a video's frames in order, as they are stored.

    Args:
      path: any video that PyAV opens.

    Yields:
      RGB uint8 [H, W, 3].

    Raises:
      ValueError: there is no such file, or it holds no video.
    """
    with _open(path) as container:
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


def _open(path: os.PathLike | str) -> av.container.InputContainer:
    if not pathlib.Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise ValueError(f"{path} is not a video or audio file: {error}") from error


def _check_audio(audio: Audio | None) -> None:
    if isinstance(audio, tuple):
        samples, rate = audio
        usable = samples.dtype == np.int16 or np.issubdtype(samples.dtype, np.floating)
        if not (usable and samples.ndim in (1, 2) and samples.size and rate > 0):
            raise ValueError(
                f"audio is {samples.dtype} {samples.shape} at {rate} Hz; need at least "
                "one sample, as [T] or [T, channels], int16 or floats in [-1, 1]"
            )
    elif audio is not None:
        with _open(audio) as container:
            if not container.streams.audio:
                raise ValueError(
                    f"{audio} holds no audio stream; give another file, or audio=None "
                    "for a silent video"
                )
