"""Checks that the frames of two sources correspond one by one."""

from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media.frame_source import FrameSource
from lokitalk_jax.media.frame_view import FrameView

_THUMBNAIL = 32  # pixels
_MAX_LAG = 12  # frames
_CLEARLY = 0.75  # unexplained motion at a better lag, relative to no lag
_RATHER = 0.85  # the same, where a shift is searched for and is no mistake
_SHOWS = 0.2  # correlation of motion above which two sources show the same moments
_POOLED = 4  # pixels of a thumbnail that are averaged for the search, each way


class Survey(NamedTuple):
    """Sizes and thumbnails of all frames of a source.

    Attributes:
      count: F.
      height, width: pixels.
      thumbnails: float32 [F, 32, 32], grey in [0, 1].
    """

    count: int
    height: int
    width: int
    thumbnails: np.ndarray


def survey(source: FrameSource | FrameView) -> Survey:
    """Decodes every frame once; keeps 4 KB of each.

    Raises:
      ValueError: there is no frame, or their sizes differ.
    """
    shape, thumbnails = None, []
    for index, frame in enumerate(source.frames()):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(
                f"{source.path}: frame {index} is {frame.shape[1]}x{frame.shape[0]}, "
                f"those before it {shape[1]}x{shape[0]}; write all at one size"
            )
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        size = (_THUMBNAIL, _THUMBNAIL)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        thumbnails.append(small.astype(np.float32) / 255)
    if shape is None:
        raise ValueError(f"{source.path} holds no frame; write it again")
    height, width, _ = shape
    return Survey(len(thumbnails), height, width, np.stack(thumbnails))


def lag(truth: Survey, prediction: Survey) -> int:
    """Frames by which the prediction is late, from the motion in both.

    The mean frame of each clip is subtracted, so a prediction that is blurred or
    tinted throughout is compared by its motion alone.

    Returns:
      Positive where the prediction is late; 0 unless another lag fits clearly better,
      which it cannot for a still picture.
    """
    one, other = (
        (s.thumbnails - s.thumbnails.mean(axis=0)).reshape(s.count, -1)
        for s in (truth, prediction)
    )
    most = min(_MAX_LAG, truth.count // 4)
    fits = {by: _correlation(one, other, by) for by in range(-most, most + 1)}
    best = max(fits, key=lambda by: fits[by])
    return best if 1 - fits[best] < _CLEARLY * (1 - fits[0]) else 0


def shift(truth: Survey, prediction: Survey) -> tuple[int, bool]:
    """Frames by which the prediction is late, of any number; lengths may differ.

    Searched wherever at least half of the shorter source overlaps the longer one.

    Returns:
      the frames, 0 unless another shift fits better; whether the motion in both
      agrees there. Where it does not, the sources may show any moments.
    """
    counts = truth.count, prediction.count
    least = -(-min(counts) // 2)
    shifts = range(least - counts[0], counts[1] - least + 1)
    one, other = (
        x.reshape(len(x), -1, _POOLED, _THUMBNAIL // _POOLED, _POOLED).mean((2, 4))
        for x in (truth.thumbnails, prediction.thumbnails)
    )
    rough = max(shifts, key=lambda by: _agreement(one, other, by))
    near = [by for by in range(rough - 2, rough + 3) if by in shifts]
    fits = {
        by: _agreement(truth.thumbnails, prediction.thumbnails, by) for by in {0, *near}
    }
    best = max(near, key=lambda by: fits[by])
    if not 1 - fits[best] < _RATHER * (1 - fits[0]):
        best = 0
    return best, fits[best] > _SHOWS


def _correlation(one: np.ndarray, other: np.ndarray, by: int) -> float:
    a, b = _overlap(one, other, by)
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def _agreement(one: np.ndarray, other: np.ndarray, by: int) -> float:
    """Correlation of the motion in frames [F, ...] and [G, ...] that overlap."""
    a, b = (x - x.mean(axis=0) for x in _overlap(one, other, by))
    return _correlation(a, b, 0)


def _overlap(
    one: np.ndarray, other: np.ndarray, by: int
) -> tuple[np.ndarray, np.ndarray]:
    """The frames of both that show the same moments if the other is late."""
    one, other = one[max(-by, 0) :], other[max(by, 0) :]
    count = min(len(one), len(other))
    return one[:count], other[:count]


def check_rates(
    truth: tuple[FrameSource | FrameView, Survey],
    prediction: tuple[FrameSource | FrameView, Survey],
) -> None:
    """Refuses a source whose frame rate is not the project's.

    Args:
      truth, prediction: the sources with all of their frames.

    Raises:
      ValueError: a source has another frame rate.
    """
    (a, one), (b, other) = truth, prediction
    for source in a, b:
        if source.fps is not None and abs(source.fps - structs.FPS) > 0.01:
            remedy = f"convert it first, as with ffmpeg -i IN -r {structs.FPS}"
            if one.count == other.count and a.fps != b.fps:
                # Converting would leave frames out, and lengths that differ.
                remedy = (
                    f"both have {one.count} frames, so only its rate seems to be "
                    f"written wrongly: set it, as with ffmpeg -r {structs.FPS} -i IN"
                )
            raise ValueError(
                f"{source.path} has {source.fps:.4g} frames a second; scores are of "
                f"{structs.FPS}; {remedy} -crf 10 OUT.mp4"
            )


def check_pair(
    truth: tuple[FrameSource | FrameView, Survey],
    prediction: tuple[FrameSource | FrameView, Survey],
    any_lag: bool = False,
) -> int:
    """Refuses two sources whose frames do not correspond one by one.

    Args:
      truth, prediction: the sources.
      any_lag: accepts a prediction that is early or late.

    Returns:
      Frames by which the prediction is late, see `lag`.

    Raises:
      ValueError: sizes, frame rates or numbers of frames differ, the frame rate is not
        the project's, or one is later than the other.
    """
    check_rates(truth, prediction)
    (a, one), (b, other) = truth, prediction
    if (one.height, one.width) != (other.height, other.width):
        raise ValueError(
            f"{a.path} is {one.width}x{one.height} pixels, {b.path} {other.width}x"
            f"{other.height}; scale the larger one down first, as with ffmpeg -i IN "
            f"-vf scale={min(one.width, other.width)}:{min(one.height, other.height)} "
            "-crf 10 OUT.mp4, or scale the prediction with align=True"
        )
    if one.count != other.count:
        raise ValueError(
            f"{a.path} has {one.count} frames, {b.path} {other.count}; cut both to the "
            "same stretch first, as with ffmpeg -ss START -frames:v COUNT, or with "
            "align=True"
        )
    late = lag(one, other)
    if late and not any_lag:
        behind, ahead = (b.path, a.path) if late > 0 else (a.path, b.path)
        raise ValueError(
            f"{behind} shows what {ahead} shows, but {abs(late)} frames later; cut "
            f"{abs(late)} frames from the start of {behind} and as many from the end "
            f"of {ahead}, as align=True does, or score the delay with any_lag=True"
        )
    return late
