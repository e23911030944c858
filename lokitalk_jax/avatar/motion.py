"""What drives a portrait from frame to frame: camera poses and signals."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.signals import vector_to_pose

# Camera pose [4, 4] and signals of one frame.
Frame = tuple[np.ndarray, structs.Signals]


class Motion(NamedTuple):
    """F frames to render.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres.
      signals: leaves [F, ...].
    """

    head_to_camera: np.ndarray
    signals: structs.Signals

    @property
    def frame_count(self) -> int:
        """How many frames, F."""
        return len(self.head_to_camera)

    def frames(self) -> Iterator[Frame]:
        """Pose and signals of each frame, in order."""
        return map(self.frame, range(self.frame_count))

    def frame(self, index: int) -> Frame:
        """Pose and signals of one frame."""
        return self.head_to_camera[index], jax.tree.map(
            lambda leaf: leaf[index], self.signals
        )


def select_frames(record: ClipRecord, text: str) -> range:
    """Frames of a clip, in words.

    Args:
      portrait: whose clip it is.
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
                f"{record.name!r} has no held-out frame with a face; choose frames "
                f"with --frames=all or --frames=a:b, up to {count}"
            )
        return range(int(record.test_frames[0]), count)
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None:
        raise ValueError(f"--frames={text} is neither test, all nor a:b")
    start = int(match[1] or 0)
    stop = int(match[2] or count)
    if not start < stop <= count:
        raise ValueError(
            f"--frames={text} is not a part of the clip of {record.name!r}, whose "
            f"{count} frames are numbered from 0; use 0:{count} or less of it"
        )
    return range(start, stop)


def tracked(record: ClipRecord, frames: Collection[int]) -> Motion:
    """The motion of the portrait's own clip at some frames.

    Frames in which no face was found move between their neighbours.
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
    """Regions driven by other people's clips, the others by the portrait's own.

    Lip and eye signals are in each person's own terms already. Head motion is carried
    over about the mean pose, and made smaller where the driver moves more than the
    portrait was seen to; the torso goes with the head.

    Args:
      portrait: who is driven.
      frames: of the portrait's own clip, for regions that nobody else drives; gone
        through to and fro where they are fewer.
      drivers: by region (lip, eye, head), whose clip and which frames of it.
      count: frames of the motion, at most those of any driver.
    """
    own = tracked(record, frames.start + to_and_fro(len(frames), count))
    poses, signals = own.head_to_camera, own.signals
    for region, (driver, theirs) in drivers.items():
        moved = tracked(driver, theirs[:count]).signals
        if region == "head":
            head = moved.head * _restraint(record, driver, "head")
            torso = moved.torso * _restraint(record, driver, "torso")
            signals = signals._replace(head=head, torso=torso)
            relative = vector_to_pose(head.astype(np.float64))
            poses = (record.rest_pose @ relative).astype(np.float32)
        else:
            signals = signals._replace(**{region: getattr(moved, region)})
    return Motion(poses, signals)


def at_rate(moved: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """A motion at another number of frames a second, blended between neighbours.

    Args:
      moved: at `structs.FPS`.
      fps: wanted.

    Yields:
      the frames at the times k / fps, until the last of `moved` has lasted its time.
    """
    step = structs.FPS / fps
    number, index, before = 0, -1, None
    for index, frame in enumerate(moved):
        while number * step < index:
            yield _between(before, frame, number * step - (index - 1))
            number += 1
        before = frame
    while number < count_at_rate(index + 1, fps):
        yield before
        number += 1


def count_at_rate(count: int, fps: float) -> int:
    """How many frames `at_rate` makes of `count`."""
    return int(np.ceil(count * fps / structs.FPS - 1e-6))


def _between(one: Frame, other: Frame, share: float) -> Frame:
    """Turns about one axis at an even speed; everything else is linear."""
    (a, first), (b, second) = one, other
    pose = np.array((1 - share) * a + share * b, np.float32)
    start = Rotation.from_matrix(a[:3, :3])
    turn = (start.inv() * Rotation.from_matrix(b[:3, :3])).as_rotvec()
    pose[:3, :3] = (start * Rotation.from_rotvec(share * turn)).as_matrix()
    blend = jax.tree.map(
        lambda x, y: np.float32((1 - share) * x + share * y), first, second
    )
    return pose, blend


def to_and_fro(length: int, count: int) -> np.ndarray:
    """Frame numbers 0, 1, ... length - 1, ... 1, 0, 1, ...; `count` of them."""
    there_and_back = np.r_[:length, length - 2 : 0 : -1]
    return np.resize(there_and_back, count)


def _restraint(record: ClipRecord, driver: ClipRecord, name: str) -> np.ndarray:
    """Factors [D] of at most 1 that fit a driver's poses to a portrait's.

    One for all angles and one for all lengths, so that motion keeps its direction.
    """

    def spread(one: ClipRecord) -> np.ndarray:
        seen = getattr(one.signals, name)[one.train_frames].reshape(-1, 2, 3)
        return np.sqrt(np.mean(seen**2, axis=(0, 2)))

    share = np.minimum(1, spread(record) / np.maximum(spread(driver), 1e-6))
    width = getattr(driver.signals, name).shape[1]
    return np.resize(np.repeat(share, 3), width).astype(np.float32)


def hold(motion: Motion, record: ClipRecord, regions: Collection[str]) -> Motion:
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
