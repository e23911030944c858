"""The sound of a video, on the clock of its frames."""

import av
import numpy as np

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


def _segments(clip: source_video.Clip):
    """(time, 16 kHz samples) of each stretch of sound without holes."""
    parts, begin, expected, resampler = [], 0.0, None, None
    with av.open(str(clip.path)) as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                time = expected
                if frame.pts is not None:
                    time = float(frame.pts * frame.time_base) - clip.origin
                if expected is None or abs(time - expected) > _GAP:
                    if parts:
                        yield begin, _join(parts, resampler)
                    resampler = av.AudioResampler("flt", "mono", structs.AUDIO_RATE)
                    parts, begin = [], time or 0.0
                    expected = begin
                expected += frame.samples / frame.sample_rate
                frame.pts = None  # the resampler would fill holes itself
                parts += [r.to_ndarray()[0] for r in resampler.resample(frame)]
        if parts:
            yield begin, _join(parts, resampler)


def _join(parts, resampler) -> np.ndarray:
    tail = [r.to_ndarray()[0] for r in resampler.resample(None)]
    return np.concatenate(parts + tail)
