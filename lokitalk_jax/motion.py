"""What drives a portrait from frame to frame: camera poses and signals."""

import re
from collections.abc import Collection
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.portraits import Portrait


class Motion(NamedTuple):
    """F frames to render.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres.
      signals: leaves [F, ...].
    """

    head_to_camera: np.ndarray
    signals: structs.Signals

    def __len__(self) -> int:
        return len(self.head_to_camera)

    def frame(self, index: int) -> tuple[np.ndarray, structs.Signals]:
        """Pose and signals of one frame."""
        return self.head_to_camera[index], jax.tree.map(
            lambda leaf: leaf[index], self.signals
        )


def select_frames(portrait: Portrait, text: str) -> range:
    """Frames of a clip, in words.

    Args:
      portrait: whose clip it is.
      text: "all"; "test", the held-out end of the clip; or "a:b", frames a to b - 1,
        where either may be left out.

    Raises:
      ValueError: `text` is none of these, or holds no frame of the clip.
    """
    count = portrait.frame_count
    if text == "all":
        return range(count)
    if text == "test":
        if not len(portrait.test_frames):
            raise ValueError(
                f"{portrait.name!r} has no held-out frame with a face; choose frames "
                f"with --frames=all or --frames=a:b, up to {count}"
            )
        return range(int(portrait.test_frames[0]), count)
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None:
        raise ValueError(f"--frames={text} is neither test, all nor a:b")
    start = int(match[1] or 0)
    stop = int(match[2] or count)
    if not start < stop <= count:
        raise ValueError(
            f"--frames={text} is not a part of the clip of {portrait.name!r}, whose "
            f"{count} frames are numbered from 0; use 0:{count} or less of it"
        )
    return range(start, stop)


def tracked(portrait: Portrait, frames: Collection[int]) -> Motion:
    """The motion of the portrait's own clip at some frames.

    Frames in which no face was found move between their neighbours.
    """
    at = np.fromiter(frames, np.intp)
    signals = jax.tree.map(lambda leaf: leaf[at], portrait.signals)
    return Motion(portrait.head_to_camera[at], signals)


def hold(motion: Motion, portrait: Portrait, regions: Collection[str]) -> Motion:
    """`motion` with the signals of some regions at rest.

    With the head at rest the camera stands still too.

    Raises:
      ValueError: there is no such region.
    """
    unknown = sorted(set(regions) - set(structs.REGIONS))
    if unknown:
        raise ValueError(
            f"no region {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(structs.REGIONS)}"
        )
    signals = structs.Signals(
        **{
            name: np.broadcast_to(getattr(portrait.rest, name), leaf.shape)
            if name in regions
            else leaf
            for name, leaf in motion.signals._asdict().items()
        }
    )
    poses = motion.head_to_camera
    if "head" in regions:
        poses = np.broadcast_to(portrait.rest_pose, poses.shape)
    return Motion(poses, signals)
