"""Motion of an avatar over the frames of a clip: its own, or that of other clips."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import pose_vectors
from lokitalk_jax.data.clip_records import ClipRecord


class FrameMotion(NamedTuple):
    """Motion at one frame.

    Attributes:
      head_to_camera: float32 [4, 4], metres.
      signals: leaves [...].
    """

    head_to_camera: np.ndarray
    signals: structs.Signals


class Motion(NamedTuple):
    """Motion over F frames.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres.
      signals: leaves [F, ...].
    """

    head_to_camera: np.ndarray
    signals: structs.Signals

    @property
    def frame_count(self) -> int:
        """F."""
        return len(self.head_to_camera)

    def frames(self) -> Iterator[FrameMotion]:
        """Each frame, in order."""
        return map(self.frame, range(self.frame_count))

    def frame(self, index: int) -> FrameMotion:
        """One frame."""
        signals = jax.tree.map(lambda leaf: leaf[index], self.signals)
        return FrameMotion(self.head_to_camera[index], signals)


def select_frames(record: ClipRecord, text: str) -> range:
    """Frames of a clip from their description.

    Args:
      record: of the clip.
      text: "all"; "test", the held-out end of the clip; or "a:b", frames a to b - 1,
        where either may be left out.

    Raises:
      ValueError: `text` is none of these, or holds no frame of the clip.
    """
    count = record.frame_count
    if text == "all":
        return range(count)
    if text == "test":
        if not len(record.test_frames):
            raise ValueError(
                f"{record.name!r} has no held-out frame with a face; choose frames=all "
                f"or frames=a:b, up to {count}"
            )
        return range(int(record.test_frames[0]), count)
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None:
        raise ValueError(
            f"frames={text} is neither test, all nor a range such as 0:{count}"
        )
    start = int(match[1] or 0)
    stop = int(match[2] or count)
    if not start < stop <= count:
        raise ValueError(
            f"frames={text} is not a part of the clip of {record.name!r}, whose "
            f"{count} frames are numbered from 0; use 0:{count} or a part of it"
        )
    return range(start, stop)


def tracked(record: ClipRecord, frames: Collection[int]) -> Motion:
    """The tracked motion of a clip at some frames.

    In frames without a face it is interpolated.
    """
    at = np.fromiter(frames, np.intp)
    signals = jax.tree.map(lambda leaf: leaf[at], record.signals)
    return Motion(record.head_to_camera[at], signals)


def swap(
    record: ClipRecord,
    frames: range,
    drivers: Mapping[str, tuple[ClipRecord, range]],
    count: int,
) -> Motion:
    """Motion with regions driven by other clips, the others by the avatar's own.

    Lip and eye signals are normalised per identity and taken over as they are. Head
    motion is taken over about the mean pose, scaled down where the driver moves more
    than the avatar did in training; the torso follows the head.

    Args:
      record: of the avatar.
      frames: of its clip, for regions without a driver; played forwards and backwards
        where they are fewer than `count`.
      drivers: by region (lip, eye, head), a clip and frames of it.
      count: frames of the motion, at most those of any driver.
    """
    own = tracked(record, frames.start + back_and_forth(len(frames), count))
    poses, signals = own.head_to_camera, own.signals
    for region, (driver, driver_frames) in drivers.items():
        driving = tracked(driver, driver_frames[:count]).signals
        if region == "head":
            head = driving.head * _restraint(record, driver, "head")
            torso = driving.torso * _restraint(record, driver, "torso")
            signals = signals._replace(head=head, torso=torso)
            poses = head_pose(record, head)
        else:
            signals = signals._replace(**{region: getattr(driving, region)})
    return Motion(poses, signals)


def hold(motion: Motion, record: ClipRecord, regions: Collection[str]) -> Motion:
    """Motion with the signals of some regions at rest.

    With the head at rest the camera stands still too.

    Raises:
      ValueError: there is no such region.
    """
    unknown = sorted(set(regions) - set(structs.REGIONS))
    if unknown:
        raise ValueError(
            f"mute has no region {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(structs.REGIONS)}"
        )
    signals = structs.Signals(
        **{
            name: np.broadcast_to(getattr(record.rest, name), leaf.shape)
            if name in regions
            else leaf
            for name, leaf in motion.signals._asdict().items()
        }
    )
    poses = motion.head_to_camera
    if "head" in regions:
        poses = np.broadcast_to(record.rest_pose, poses.shape)
    return Motion(poses, signals)


def head_pose(record: ClipRecord, head: np.ndarray) -> np.ndarray:
    """Camera poses float32 [..., 4, 4], metres, of head signals [..., 6]."""
    relative = pose_vectors.from_vector(np.asarray(head, np.float64))
    return (record.rest_pose @ relative).astype(np.float32)


def back_and_forth(length: int, count: int) -> np.ndarray:
    """Frame numbers 0, 1, ... length - 1, ... 1, 0, 1, ..., int [count]."""
    return np.resize(np.r_[:length, length - 2 : 0 : -1], count)


def _restraint(record: ClipRecord, driver: ClipRecord, name: str) -> np.ndarray:
    """Factors [D] of at most 1 that fit a driver's poses to an avatar's.

    One for all angles and one for all lengths, so that the direction of motion stays.
    """

    def spread(one: ClipRecord) -> np.ndarray:
        seen = getattr(one.signals, name)[one.train_frames].reshape(-1, 2, 3)
        return np.sqrt(np.mean(seen**2, axis=(0, 2)))

    share = np.minimum(1, spread(record) / np.maximum(spread(driver), 1e-6))
    width = getattr(driver.signals, name).shape[1]
    return np.resize(np.repeat(share, 3), width).astype(np.float32)
