"""Frames of an avatar from a motion, one at a time, and the sound of its clip."""

import collections
import pathlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import scipy.io.wavfile

from lokitalk_jax import structs
from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.model.rendering import Rendered

_AHEAD = 2  # frames worked on at once


def stream(
    renderer: FrameRenderer, moved: Iterable[FrameMotion], plate: np.ndarray
) -> Iterator[Rendered]:
    """Renders frames in order.

    Two frames are worked on while the caller is busy with the one before them: XLA's
    CPU backend leaves cores idle within a frame, and a GPU does while its host writes
    a video.

    Args:
      renderer: of the person.
      moved: pose and signals of each frame.
      plate: float32 [H, W, 3] in [0, 1], behind the person.

    Yields:
      maps [H, W, ...], on the device.
    """

    def render(pose, signals) -> Rendered:
        return jax.block_until_ready(renderer(pose, signals, plate))

    with ThreadPoolExecutor(_AHEAD) as workers:
        asked = collections.deque()
        for pose, signals in moved:
            asked.append(workers.submit(render, pose, signals))
            if len(asked) > _AHEAD:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()


def sound(path: pathlib.Path | None, frames: range) -> tuple[np.ndarray, int] | None:
    """A clip's sound during some frames, and its rate; None where there is none."""
    if path is None:
        return None
    rate, samples = scipy.io.wavfile.read(path, mmap=True)
    start, stop = (round(i * rate / structs.FPS) for i in (frames.start, frames.stop))
    samples = samples[start:stop]
    return (samples, rate) if len(samples) else None
