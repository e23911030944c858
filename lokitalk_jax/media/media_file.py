"""Opens video and sound files of any name and format."""

import os
import pathlib
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

# Containers without a length of their own: FFmpeg guesses it from the bit rate.
_GUESSED_LENGTH = {"mp3", "aac", "ac3", "eac3", "amr", "h264", "hevc", "m4v"}
_RIFF = {"wav", "avi"}
_CUT_OFF = 0.5  # seconds that a whole file may end before its stated length


def open_media(path: str | os.PathLike) -> InputContainer:
    """Opens a video or sound file.

    Raises:
      ValueError: there is no such file, or PyAV cannot read it.
    """
    if not pathlib.Path(path).exists():
        raise ValueError(f"no such file: {path}; check the path")
    if not pathlib.Path(path).is_file():
        raise ValueError(f"{path} is not a file; give a video or sound file")
    try:
        # Otherwise a colon in the name would end the name of a protocol. Tags of old
        # programs are of any encoding.
        return av.open(f"file:{os.fspath(path)}", metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{path} is not a video or sound file, or is cut off ({reason}); write it "
            "again"
        ) from error


def packets(
    container: InputContainer, stream: av.AudioStream | av.VideoStream
) -> Iterator[av.Packet]:
    """Packets of a stream from where the container is, until the file breaks off."""
    remaining = container.demux(stream)
    while True:
        try:
            yield next(remaining)
        except (StopIteration, FFmpegError):
            return


def picture_streams(container: InputContainer) -> list[av.VideoStream]:
    """Streams of moving pictures: a cover of an album is none."""
    covers = Disposition.attached_pic
    return [s for s in container.streams.video if not s.disposition & covers]


def start_time(container: InputContainer) -> float:
    """When the earliest stream of a file begins, seconds on the file's clock."""
    return (container.start_time or 0) / av.time_base


def stated_length(
    container: InputContainer, stream: av.AudioStream | av.VideoStream | None = None
) -> float | None:
    """Seconds from a file's start to its stated end; None where none is reliable.

    Args:
      container: of the file.
      stream: takes the end of this stream, where it states its own.
    """
    formats = set(container.format.name.split(","))
    if formats & _GUESSED_LENGTH:
        return None
    if formats & _RIFF and container.duration:
        # FFmpeg computes the length of a truncated file from the bytes that exist.
        return container.duration / av.time_base * _stated_share(container)
    if stream is not None and stream.duration and stream.time_base:
        begin = (stream.start_time or 0) * stream.time_base - start_time(container)
        return float(begin + stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _stated_share(container: InputContainer) -> float:
    """The stated size of a RIFF file over its size; 1 where it states none."""
    with open(container.name.removeprefix("file:"), "rb") as file:
        head = file.read(8)
    stated = int.from_bytes(head[4:8], "little") + 8
    # Programs that write to a pipe leave 0 or the largest number.
    known = head[:4] == b"RIFF" and stated < 2**32
    return max(stated / container.size, 1.0) if known else 1.0


def cut_off(seconds: float, stated: float | None) -> str | None:
    """Where a file ends too early, as words; None where it is whole.

    Args:
      seconds: until which it could be decoded, from its start.
      stated: of `stated_length`.
    """
    if stated is None or seconds > stated - _CUT_OFF:
        return None
    return f"cut off after {seconds:.2f} s of {stated:.2f} s"
