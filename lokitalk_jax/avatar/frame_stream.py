"""Rendering of consecutive frames, two at a time."""

import collections
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.model.rendering import Rendered

_AHEAD = 2  # frames in work at once


def render(
    renderer: FrameRenderer, frames: Iterable[FrameMotion], plate: np.ndarray
) -> Iterator[Rendered]:
    """Renders frames in order.

    Two frames are in work while the caller uses the one before them: XLA's CPU backend
    leaves cores idle within a frame, and a GPU is idle while its host writes a video.

    Args:
      renderer: of the avatar.
      frames: pose and signals of each frame.
      plate: float32 [H, W, 3] in [0, 1], the background.

    Yields:
      maps [H, W, ...], on the device.
    """

    def one(pose, signals) -> Rendered:
        return jax.block_until_ready(renderer(pose, signals, plate))

    with ThreadPoolExecutor(_AHEAD) as workers:
        pending = collections.deque()
        for pose, signals in frames:
            pending.append(workers.submit(one, pose, signals))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
