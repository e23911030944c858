"""Motion at other frame rates: poses and signals between two frames."""

import math
from collections.abc import Iterable, Iterator

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.avatar.motion import FrameMotion


def at_rate(frames: Iterable[FrameMotion], fps: float) -> Iterator[FrameMotion]:
    """Motion at another frame rate, interpolated between neighbours.

    Args:
      frames: at `structs.FPS`.
      fps: frames a second to yield.

    Yields:
      the frames at times k / fps, to the end of the last of `frames`.
    """
    step = structs.FPS / fps
    number, index, before = 0, -1, None
    for index, frame in enumerate(frames):
        while before is not None and number * step < index:
            yield _between(before, frame, number * step - (index - 1))
            number += 1
        before = frame
    while before is not None and number < count_at_rate(index + 1, fps):
        yield before
        number += 1


def count_at_rate(count: int, fps: float) -> int:
    """Number of frames that `at_rate` yields for `count` frames."""
    return math.ceil(count * fps / structs.FPS - 1e-6)


def _between(first: FrameMotion, second: FrameMotion, share: float) -> FrameMotion:
    """Rotations about one axis at constant speed; everything else is linear."""
    a, b = first.head_to_camera, second.head_to_camera
    pose = np.array((1 - share) * a + share * b, np.float32)
    start = Rotation.from_matrix(a[:3, :3])
    turn = (start.inv() * Rotation.from_matrix(b[:3, :3])).as_rotvec()
    pose[:3, :3] = (start * Rotation.from_rotvec(share * turn)).as_matrix()
    signals = jax.tree.map(
        lambda x, y: np.float32((1 - share) * x + share * y),
        first.signals,
        second.signals,
    )
    return FrameMotion(pose, signals)
