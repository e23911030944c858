"""Sound decoded with its timestamps: late starts and holes become silence."""

from collections.abc import Iterable, Iterator
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from lokitalk_jax.media import media_file

# Seconds: clocks of containers are rounded, so smaller gaps are no gaps.
_GAP = 0.04
_OVERLAP = 1.0  # seconds that timestamps may step back before they are wrong
_BEYOND = 1.0  # seconds after the stated end of a file that timestamps may reach
_UNSTATED = 600.0  # the same, of a file that states no end
# By default, channels of floats are mixed to more than their average.
_NOT_LOUDER = {"rematrix_maxval": "1.0"}


def stretches(
    container: InputContainer, stream: av.AudioStream
) -> Iterator[tuple[float | None, av.AudioFrame]]:
    """Decoded frames in order; broken packets are skipped.

    Yields:
      A frame, and its time in seconds on the container's clock where it does not
      simply follow the frame before it; None where it does.
    """
    length = media_file.stated_length(container)
    latest = media_file.start_time(container) + _BEYOND + (length or _UNSTATED)
    end = None
    for frame in _frames(container, stream):
        time = end if frame.time is None else frame.time
        follows = end is not None and (
            time is None
            or abs(time - end) <= _GAP
            or time < end - _OVERLAP
            or time > latest
        )
        if follows:
            assert end is not None
            yield None, frame
        else:
            end = time or 0.0
            yield end, frame
        end += frame.samples / frame.sample_rate


def _frames(
    container: InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame]:
    for packet in media_file.packets(container, stream):
        try:
            yield from packet.decode()
        except FFmpegError:
            continue  # broken or cut off; the next may be whole


def resampled(
    frames: Iterable[tuple[float | None, av.AudioFrame]],
    layout: str,
    rate: int,
    zero: float,
    channel: int | None = None,
) -> Iterator[np.ndarray]:
    """Samples from time `zero` to the end of the sound, without holes.

    Sample k is played k / rate seconds after `zero`; a stretch without sound is zeros.

    Args:
      frames: of `stretches`.
      layout: "mono" or "stereo"; other layouts are mixed to it.
      rate: Hz.
      zero: seconds on the clock of the container.
      channel: the only channel that is used; None uses all.

    Yields:
      float32 [channels, T], about a second or less.
    """
    line = _Line(layout, rate)
    for start, frame in frames:
        if start is not None:
            yield from line.begin(start - zero)
        yield from line.add(frame if channel is None else _only(frame, channel))
    yield from line.close()


class _Line:
    """Samples at their places on a time line; `end` is that of the sound so far."""

    def __init__(self, layout: str, rate: int):
        self._layout, self._rate = layout, rate
        self._channels = 2 if layout == "stereo" else 1
        self._end = 0.0  # seconds
        self._count = 0  # samples given out
        self._skipped = 0  # samples to drop, whose time has passed
        self._rest = np.zeros((self._channels, 0), np.float32)
        self._kind: tuple | None = None
        self._resampler: av.AudioResampler | None = None

    def begin(self, time: float) -> Iterator[np.ndarray]:
        """The end of the stretch before, and the silence until `time`."""
        yield from self.close()
        self._end = time
        place = round(time * self._rate)
        self._skipped = max(self._count - place, 0)
        while self._count < place:
            size = min(self._rate, place - self._count)
            self._count += size
            yield np.zeros((self._channels, size), np.float32)

    def add(self, frame: av.AudioFrame) -> Iterator[np.ndarray]:
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind:
            yield from self.close()
            self._kind = kind
            self._resampler = av.AudioResampler(
                "fltp", self._layout, self._rate, options=_NOT_LOUDER
            )
        self._end += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler would fill holes itself
        yield self._take(frame)

    def close(self) -> Iterator[np.ndarray]:
        """The end of a stretch, which has as many samples as its length asks for."""
        if self._resampler is None:
            return
        last = self._take(None)
        missing = round(self._end * self._rate) - self._count - last.shape[1]
        yield np.pad(last, ((0, 0), (0, max(missing, 0))))
        self._count += max(missing, 0)
        self._rest = self._rest[:, :0]
        self._kind = self._resampler = None

    def _take(self, frame: av.AudioFrame | None) -> np.ndarray:
        """Samples that a frame adds, not beyond its end."""
        assert self._resampler is not None
        outs = [out.to_ndarray() for out in self._resampler.resample(frame)]
        samples = np.concatenate([self._rest, *outs], axis=1)
        dropped = min(self._skipped, samples.shape[1])
        self._skipped -= dropped
        room = max(round(self._end * self._rate) - self._count, 0)
        taken, self._rest = np.split(samples[:, dropped:], [room], axis=1)
        self._count += taken.shape[1]
        return taken


def _only(frame: av.AudioFrame, channel: int) -> av.AudioFrame:
    """One channel of a frame, as mono."""
    count = len(frame.layout.channels)
    if channel >= count:
        return frame
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, count).T
    kind = frame.format.name.removesuffix("p") + "p"
    chosen: Any = np.ascontiguousarray(samples[[channel]])
    one = av.AudioFrame.from_ndarray(chosen, kind, "mono")
    one.sample_rate = frame.sample_rate
    return one
