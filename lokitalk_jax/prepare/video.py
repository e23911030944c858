"""Decodes any video that PyAV opens, upright and on the project's 25 fps grid.

Times are seconds from the first frame of the video: containers start their streams
anywhere, and what a user reads in a player's clock is this time.
"""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np

from lokitalk_jax import structs

# Mean absolute difference (0 to 255) of two thumbnails, in the block where it is
# largest, under which a frame repeats the one before. A codec leaves up to 0.8 in a
# repeated frame, and more after strong motion; a person sitting still under a studio
# camera makes 1 or more, a lively one 2.5.
REPEAT = 0.9
_REPEAT_LIVELY = 2.0
_REPEAT_SHARE = 0.06  # of the clip's median change, between the two

THUMBNAIL = 128
_BLOCK = 8
_CLOCK = 1e-3  # rounding of container clocks, seconds


class Clip(NamedTuple):
    """What a container says about its video.

    Attributes:
      path: the file.
      height, width: of the upright picture with square pixels.
      turns: quarter turns, counterclockwise, that set a decoded frame upright.
      origin: container time of the first frame, seconds.
      spacing: seconds between two frames, nominally.
      duration: seconds, as the container has it; 0 where it does not say.
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


class Timeline(NamedTuple):
    """The source frame shown at each tick of the 25 fps grid.

    Attributes:
      source: int [F], index into what `decode` yields.
      duplicate: bool [F], the frame repeats the one before it.
      start: time of tick 0, seconds.
    """

    source: np.ndarray
    duplicate: np.ndarray
    start: float


def probe(path: pathlib.Path | str) -> Clip:
    """Looks at a video.

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
                    f"{path} holds no video stream; --video needs a film of a person"
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
    except (av.FFmpegError, StopIteration) as error:
        raise ValueError(
            f"{path} is not a video that can be decoded ({error or 'no frames'}); "
            "if a player shows it, save it again as mp4"
        ) from error


def _is_cover(stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def decode(
    clip: Clip, start: float = 0.0, end: float | None = None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (time, frame) over [start, end), from the frame shown at `start`.

    Frames come as the codec made them; `upright` turns one into a picture. The
    sequence is the same whenever the arguments are.
    """
    shown = None
    for time, frame in _all_frames(clip, start):
        if time <= start + _CLOCK:
            shown = time, frame
            continue
        if shown is not None:
            yield shown
            shown = None
        if end is not None and time >= end - _CLOCK:
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
            target = (clip.origin + start - 1) / stream.time_base
            container.seek(int(target), stream=stream, backward=True)
        previous = -np.inf
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                if frame.pts is None:
                    time = previous + clip.spacing if np.isfinite(previous) else 0.0
                else:
                    time = float(frame.pts * frame.time_base) - clip.origin
                if time > previous:
                    previous = time
                    yield time, frame


def upright(clip: Clip, frame: av.VideoFrame, longest: int | None = None) -> np.ndarray:
    """The picture as it is meant to be seen, RGB uint8 [H, W, 3].

    Args:
      clip: where the frame is from.
      frame: as `decode` yields it.
      longest: shrink the longest side to this many pixels.
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


def thumbnail(frame: av.VideoFrame) -> np.ndarray:
    """The frame as float32 RGB [THUMBNAIL, THUMBNAIL, 3], for comparing frames."""
    return frame.to_ndarray(
        format="rgb24", width=THUMBNAIL, height=THUMBNAIL, interpolation="AREA"
    ).astype(np.float32)


def change(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """How much two thumbnails differ: in the worst block, and over the image.

    The worst block tells moving lips before a still wall from a repeated frame.
    """
    difference = np.abs((one - other).mean(-1))  # chroma is the noisier part
    blocks = difference.reshape(THUMBNAIL // _BLOCK, _BLOCK, -1, _BLOCK).mean((1, 3))
    return float(blocks.max()), float(difference.mean())


def timeline(
    times: np.ndarray,
    changes: np.ndarray,
    start: float = 0.0,
    end: float | None = None,
) -> Timeline:
    """Lays source frames on the 25 fps grid: the newest at or before each tick.

    Where a video of about 30 fps holds 25 (one frame in six is a repeat), its repeats
    are dropped first and the five that are left spread evenly over their six places,
    so that no true frame is lost and none is shown twice.

    Args:
      times: [S], of the source frames, ascending seconds.
      changes: [S], worst-block change from the frame before; the first is ignored.
      start: time of the first tick; the first frame's, if that is later.
      end: ticks stop before it; by default the end of the last frame.
    """
    times = np.asarray(times, np.float64)
    threshold = np.clip(_REPEAT_SHARE * np.median(changes), REPEAT, _REPEAT_LIVELY)
    repeated = changes < threshold
    repeated[0] = False
    kept = np.arange(len(times))
    first = max(start, times[0])
    last = times[-1] + spacing(times)
    if end is not None:
        last = min(last, end)
    if _holds_25_in_30(times, repeated):
        kept, times = _drop_pulldown(times, repeated)
    count = max(1, int((last - first) * structs.FPS + 0.5 * structs.FPS * _CLOCK))
    ticks = first + np.arange(count) / structs.FPS
    place = np.searchsorted(times, ticks + _CLOCK, side="right") - 1
    source = kept[np.maximum(place, 0)]
    # A frame is new where any source frame since the one before it was.
    fresh = np.cumsum(~repeated)[source]
    duplicate = np.concatenate([[False], np.diff(fresh) == 0])
    return Timeline(source, duplicate, float(first))


def spacing(times: np.ndarray) -> float:
    """Seconds from one frame to the next, mostly."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1 / structs.FPS


def _holds_25_in_30(times: np.ndarray, repeated: np.ndarray) -> bool:
    if len(times) < 12 or not 29 < 1 / spacing(times) < 31:
        return False
    repeats = repeated[: len(times) // 6 * 6].reshape(-1, 6).sum(1)
    moving = repeats < 4
    return np.sum(repeats == 1) > 0.7 * np.sum(moving) > 0


def _drop_pulldown(times, repeated):
    """Indices of five frames of each cycle of six, and their evenly spread times."""
    kept, spread = [], []
    step = spacing(times)
    for begin in range(0, len(times), 6):
        cycle = np.arange(begin, min(begin + 6, len(times)))
        if len(cycle) == 6:
            # No repeat: the frame before the cycle's first one was shown twice.
            cycle = np.delete(cycle, np.argmax(repeated[cycle]))
        kept.extend(cycle)
        spread.extend(times[begin] + step * 6 / 5 * np.arange(len(cycle)))
    return np.array(kept), np.array(spread)
