"""The sound of a video, on the clock of its frames."""

from collections.abc import Iterator

import av
import numpy as np
from av.error import InvalidDataError

from lokitalk_jax import structs
from lokitalk_jax.preparation import source_video

_GAP = 0.04  # seconds of missing sound that are kept as silence


def read(clip: source_video.Clip, start: float, count: int) -> np.ndarray:
    """Sound from time `start` of the video: float32 [count], 16 kHz, mono.

    Converts any rate, number of channels and format. Sound that begins late, stops
    early or has holes is filled with silence, so that samples keep their time.

    Args:
      clip: a video with an audio stream.
      start: seconds from the video's first frame.
      count: samples.

    Raises:
      UnusableVideo: the stream holds no sound that can be decoded.
    """
    samples = np.zeros(count, np.float32)
    found = False
    for time, part in _segments(clip):
        found = True
        begin = round((time - start) * structs.AUDIO_RATE)
        part = part[max(-begin, 0) :]
        begin = max(begin, 0)
        part = part[: max(count - begin, 0)]
        samples[begin : begin + len(part)] = part
    if not found:
        raise source_video.UnusableVideo(
            f"{clip.path.name}: its audio stream holds nothing that can be decoded; "
            "save the video again, or prepare it with audio=False"
        )
    return samples


def _segments(clip: source_video.Clip) -> Iterator[tuple[float, np.ndarray]]:
    """Start (seconds) and 16 kHz samples of each stretch of sound without holes."""
    segment = None
    for frame in _frames(clip):
        time = None if frame.time is None else frame.time - clip.origin
        if segment is None or time is not None and abs(time - segment.end) > _GAP:
            if segment is not None:
                yield segment.start, segment.samples()
            segment = _Segment(time or 0.0)
        segment.add(frame)
    if segment is not None:
        yield segment.start, segment.samples()


def _frames(clip: source_video.Clip) -> Iterator[av.AudioFrame]:
    """Decoded frames of the sound; broken packets are skipped."""
    with av.open(str(clip.path)) as container:
        for packet in container.demux(container.streams.audio[0]):
            try:
                yield from packet.decode()
            except InvalidDataError:
                continue


class _Segment:
    """A stretch of sound without holes, resampled to 16 kHz mono."""

    def __init__(self, start: float):
        self.start = self.end = start
        self._parts: list[np.ndarray] = []
        self._resampler = av.AudioResampler("flt", "mono", structs.AUDIO_RATE)

    def add(self, frame: av.AudioFrame) -> None:
        self.end += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler would fill holes itself
        self._resample(frame)

    def samples(self) -> np.ndarray:
        """All samples; the segment is then finished."""
        self._resample(None)
        return np.concatenate(self._parts)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        self._parts += [out.to_ndarray()[0] for out in self._resampler.resample(frame)]
