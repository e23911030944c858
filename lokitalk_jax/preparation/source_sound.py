"""The sound of a video, on the clock of its frames."""

import itertools
from collections.abc import Iterator

import av
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media import sound_file
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
    for time, frames in itertools.groupby(_stretches(clip), lambda pair: pair[0]):
        found = True
        only = (frame for _, frame in frames)
        parts = sound_file.resampled(only, "mono", structs.AUDIO_RATE)
        part = np.concatenate(list(parts), axis=1)[0]
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


def _stretches(clip: source_video.Clip) -> Iterator[tuple[float, av.AudioFrame]]:
    """Frames, each with the start (seconds) of its stretch of sound without holes."""
    start, end = None, 0.0
    with av.open(str(clip.path)) as container:
        for frame in sound_file.decoded(container):
            time = None if frame.time is None else frame.time - clip.origin
            if start is None or time is not None and abs(time - end) > _GAP:
                start = end = time or 0.0
            end += frame.samples / frame.sample_rate
            yield start, frame
