"""Renders frames of a clip, to be scored against the true ones."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax.avatar import frame_stream, motion, pose_fit
from lokitalk_jax.avatar.run import OpenAvatar
from lokitalk_jax.data import torso_inpainting
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_grid, recoding
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.progress import Progress, track


class Pair(NamedTuple):
    """A true and a rendered frame.

    Attributes:
      index: its number.
      maps: of the renderer, in host memory.
      truth: uint8 [H, W, 3].
      prediction: float32 [H, W, 3] in [0, 1].
    """

    index: int
    maps: Rendered
    truth: np.ndarray
    prediction: np.ndarray


Frames = Sequence[int] | np.ndarray  # frame numbers


def rendered_frames(
    avatar: OpenAvatar,
    frames: Frames,
    moved: motion.Motion | None = None,
    true_torsos: Dataset | None = None,
) -> Iterator[tuple[int, Rendered, np.ndarray]]:
    """Renders frames of a clip over its plate.

    Args:
      avatar: the avatar.
      frames: frame numbers.
      moved: motion of these frames; None takes the tracked motion.
      true_torsos: the true clip, whose torsos then replace the rendered torso.

    Yields:
      the frame's number, its maps in host memory, and its picture, float32 [H, W, 3]
      in [0, 1].
    """
    record = avatar.record
    moved = moved or motion.tracked(record, frames)
    if true_torsos is None:
        plate = record.plate.astype(np.float32) / 255
        rendered = frame_stream.render(avatar.renderer, moved.frames(), plate)
    else:
        rendered = _over_torsos(avatar, frames, moved, true_torsos)
    for index, maps in zip(frames, rendered, strict=True):
        maps = jax.device_get(maps)
        yield int(index), maps, np.clip(maps.rgb, 0, 1)


def _over_torsos(
    avatar: OpenAvatar, frames: Frames, moved: motion.Motion, clip: Dataset
) -> Iterator[Rendered]:
    """Renders the head alone, over the true torso and the plate."""
    for index, (pose, signals) in zip(frames, moved.frames(), strict=True):
        rgb, labels = (np.asarray(x[index]) for x in (clip.frames, clip.labels))
        behind = torso_inpainting.backdrop(rgb, labels, avatar.record.plate)
        yield avatar.renderer(pose, signals, behind, torso=False)


def refined(
    avatar: OpenAvatar,
    frames: Frames,
    moved: motion.Motion,
    clip: Dataset,
    progress: Progress | None = None,
) -> tuple[motion.Motion, dict]:
    """Fits the poses of head and torso to the true frames; see `pose_fit`.

    Returns:
      the motion with fitted poses, and by "head_px" and "torso_px" the median distance
      that they moved by, pixels; None for a region that is not seen.
    """
    numbered = list(zip(frames, moved.frames(), strict=True))
    stage = f"fitting poses of {clip.name}"
    fits = [
        pose_fit.fit(avatar.renderer, avatar.record, start, np.asarray(clip.frames[i]))
        for i, start in track(numbered, progress, stage, len(numbered))
    ]
    poses = np.stack([fit.motion.head_to_camera for fit in fits])
    signals = jax.tree.map(
        lambda *leaves: np.stack(leaves), *[fit.motion.signals for fit in fits]
    )
    distances = {}
    for region in ("head_px", "torso_px"):
        known = [x for fit in fits if np.isfinite(x := getattr(fit, region))]
        distances[region] = float(np.median(known)) if known else None
    return motion.Motion(poses, signals), distances


def pairs(
    rendered: Iterable[tuple[int, Rendered, np.ndarray]],
    clip: Dataset,
    factor: int | None = None,
) -> Iterator[Pair]:
    """Pairs each rendered frame with the true one.

    Args:
      rendered: numbers, maps and pictures [H, W, 3], see `rendered_frames`.
      clip: the true clip.
      factor: codes both alike by H.264 of this rate factor; None codes neither.
    """
    plain = (
        Pair(index, maps, np.asarray(clip.frames[index]), prediction)
        for index, maps, prediction in rendered
    )
    return plain if factor is None else _coded(plain, factor)


def _coded(plain: Iterable[Pair], factor: int) -> Iterator[Pair]:
    coders = recoding.Coder(factor), recoding.Coder(factor)
    waiting: collections.deque[Pair] = collections.deque()
    done: tuple[list, list] = [], []

    def complete() -> Iterator[Pair]:
        while all(done):
            truth, prediction = (side.pop(0) for side in done)
            prediction = prediction / np.float32(255)
            yield waiting.popleft()._replace(truth=truth, prediction=prediction)

    for pair in plain:
        waiting.append(pair)
        frames = pair.truth, image_grid.to_uint8(pair.prediction)
        for side, coder, frame in zip(done, coders, frames, strict=True):
            side += coder.push(frame)
        yield from complete()
    for side, coder in zip(done, coders, strict=True):
        side += coder.finish()
    yield from complete()
