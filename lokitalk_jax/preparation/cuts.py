"""Finds cuts: places where the scene jumps from one frame to the next.

A cut is a step that exceeds the three steps on either side, first in the change of the
image, then in the motion of the landmarks. In addition, the face must move by more than
_UNEXPLAINED further than its velocity before and after the step explains. Dropped
frames also exceed their neighbours, but move the face along its path: on the
development clips they reach 0.04 face widths, and three of four random jumps in a
lively clip exceed 0.06.
"""

import collections
from typing import NamedTuple

import av
import numpy as np
from scipy import optimize

from lokitalk_jax.preparation import crop, frame_change, source_video
from lokitalk_jax.preparation.faces import Detect

_IMAGE_EXCEEDS = 1.3
_FACE_EXCEEDS = 1.2
_UNEXPLAINED = 0.06  # face widths
_OTHER_SCENE = 0.4  # share of pixels that change their colour bin
_ARM = 4  # frames on either side of the step
_CLOSE_UP = 384  # pixels


class _Step(NamedTuple):
    time: float  # seconds
    frame: av.VideoFrame
    thumbnail: np.ndarray
    motion: float  # change from the frame before, in the 16 worst blocks


class CutFinder:
    """Watches the frames of a clip in order, repeats left out."""

    def __init__(self, clip: source_video.Clip, detect: Detect):
        """Starts before the first frame.

        Args:
          clip: the video.
          detect: from RGB uint8 to the landmarks of each face, largest first.
        """
        self._clip, self._detect = clip, detect
        self._recent: collections.deque[_Step] = collections.deque(maxlen=2 * _ARM)

    def add(
        self,
        time: float,
        frame: av.VideoFrame,
        thumbnail: np.ndarray,
        motion: float,
        box: np.ndarray | None,
    ) -> float | None:
        """Adds a frame.

        Args:
          time: of the frame, seconds.
          frame: as decoded.
          thumbnail: of the frame.
          motion: change from the frame before it, in the 16 worst blocks.
          box: [4], the latest known face in the upright frame; None where there is
            none.

        Returns:
          The time of the first frame after a cut, if there is a cut in the middle of
          the latest frames.
        """
        self._recent.append(_Step(time, frame, thumbnail, motion))
        if len(self._recent) < 2 * _ARM:
            return None
        return self._recent[_ARM].time if self._is_cut(box) else None

    def _is_cut(self, box: np.ndarray | None) -> bool:
        """Whether the scene jumps between the two middle frames."""
        steps = list(self._recent)
        motions = np.array([step.motion for step in steps[1:]])
        if not _exceeds(motions, _IMAGE_EXCEEDS, floor=1.0):
            return False
        before, after = (steps[k].thumbnail for k in (_ARM - 1, _ARM))
        if _colours_changed(before, after) > _OTHER_SCENE:
            return True
        found = [self._detect(self._close_up(step.frame, box)) for step in steps]
        if not all(found):
            # The face disappears or appears with the step, and with no other step.
            before, after = found[:_ARM], found[_ARM:]
            return (all(before) and not any(after)) or (all(after) and not any(before))
        faces = np.stack([faces[0][:, :2] for faces in found])
        faces /= np.ptp(faces[..., 0], axis=1).mean()
        lengths = np.linalg.norm(np.diff(faces, axis=0), axis=-1).mean(-1)
        if not _exceeds(lengths, _FACE_EXCEEDS, floor=0.01):
            return False
        step = (faces[_ARM] - faces[_ARM - 1]).ravel()
        velocities = np.stack(
            [
                (faces[_ARM - 1] - faces[_ARM - 3]).ravel(),
                (faces[_ARM + 2] - faces[_ARM]).ravel(),
            ],
            axis=1,
        )
        residual = optimize.nnls(velocities, step)[1] / np.linalg.norm(step)
        return residual * lengths[_ARM - 1] > _UNEXPLAINED

    def _close_up(self, frame: av.VideoFrame, box: np.ndarray | None) -> np.ndarray:
        """The frame around the latest known face, or all of it, not much enlarged."""
        clip = self._clip
        window = crop.whole(clip.height, clip.width, _CLOSE_UP)
        if box is not None:
            window = crop.head_and_shoulders(
                box[None], clip.height, clip.width, _CLOSE_UP
            )
        return crop.cut_out(source_video.upright(clip, frame), window)


def _exceeds(steps: np.ndarray, factor: float, floor: float) -> bool:
    """Whether the middle step is larger than all others."""
    middle = _ARM - 1
    others = np.delete(steps, middle)
    return bool(steps[middle] > factor * (others.max() + floor))


def _colours_changed(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pixels that another colour bin holds."""
    histograms = [
        np.histogramdd(image.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)[0]
        for image in (one, other)
    ]
    difference = np.abs(histograms[0] - histograms[1]).sum()
    return difference / 2 / frame_change.THUMBNAIL**2
