"""Tracks the torso: its pixels are registered to one reference frame.

Shoulders follow a head by an amount that differs from person to person and from minute
to minute, so the pose of the head does not determine where they are; their pixels do.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.preparation.registration import Registration

# Longest side of the images that are registered, pixels.
SIDE = 128

# Distance of the neck behind the origin of the head frame, metres: at its depth a
# shift of pixels becomes metres.
_NECK_BEHIND = 0.06

# A frame is registered if its correlation with the reference is at least this, a clip
# if this share of its frames is. A torso that fills less of the frame is not tracked.
_CORRELATION = 0.6
_REGISTERED = 0.9
_AREA = 0.02

# Edges of the torso show its motion best, and lie just outside its label; pixels.
_MARGIN = 2


class TorsoMotion(NamedTuple):
    """Motion of the torso in F frames relative to the reference frame.

    Attributes:
      warp: float32 [F, 2, 3], from pixels of the reference to pixels of the frame; a
        turn, a scale and a shift.
      correlation: float32 [F], with the reference; 0 where registration failed.
    """

    warp: np.ndarray
    correlation: np.ndarray

    @property
    def registered(self) -> np.ndarray:
        """Bool [F], frames that were registered."""
        return self.correlation >= _CORRELATION


def reference_frame(head_to_camera: np.ndarray, valid: np.ndarray) -> int:
    """The frame whose head is nearest to its median position."""
    place = head_to_camera[:, :3, 3]
    distance = np.linalg.norm(place - np.median(place[valid], axis=0), axis=1)
    return int(np.argmin(np.where(valid, distance, np.inf)))


def register(
    read_rgb: Callable[[int], np.ndarray],
    labels: np.ndarray,
    reference: int,
    count: int,
    done: Callable[[], object] = lambda: None,
) -> TorsoMotion:
    """Registers the torso of every frame to the reference frame.

    Args:
      read_rgb: reads a frame, uint8 [H, W, 3].
      labels: uint8 [H, W], of the reference frame; see `layout`.
      reference: index of the reference frame.
      count: F.
      done: called after each frame.
    """
    scale = SIDE / max(labels.shape)

    def shrunk(image: np.ndarray, interpolation=cv2.INTER_AREA) -> np.ndarray:
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)

    def grey(index: int) -> np.ndarray:
        return cv2.cvtColor(shrunk(read_rgb(index)), cv2.COLOR_RGB2GRAY)

    motion = TorsoMotion(
        np.tile(np.eye(2, 3, dtype=np.float32), (count, 1, 1)),
        np.zeros(count, np.float32),
    )
    labels = shrunk(labels, cv2.INTER_NEAREST)
    torso = (labels == layout.TORSO).astype(np.uint8)
    if torso.mean() < _AREA:
        return motion
    torso = cv2.dilate(torso, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    compared = (torso > 0) & (labels != layout.HEAD)
    registration = Registration(grey(reference), compared)

    # From the reference outwards, so that each frame starts at its neighbour's place.
    for order in (range(reference, count), range(reference - 1, -1, -1)):
        parameters = np.zeros(4)
        for index in order:
            found, correlation = registration.solve(grey(index), parameters)
            if correlation >= _CORRELATION:
                parameters = found
                motion.correlation[index] = correlation
            motion.warp[index] = registration.warp(parameters)
            motion.warp[index, :, 2] /= scale
            done()
    return motion


def poses(
    motion: TorsoMotion,
    head_to_camera: np.ndarray,
    valid: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray | None:
    """`torso_to_camera` [F, 4, 4], metres, or None where the torso was not tracked.

    Shifts and turns in the image are read as motion across the camera's axis, growth
    as motion towards the camera. The frame of the torso is the camera's at the
    reference frame.

    Args:
      motion: of the torso.
      head_to_camera: [F, 4, 4], metres.
      valid: bool [F], frames with a face.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
    """
    known = motion.registered
    if known.mean() < _REGISTERED:
        return None
    frames = np.arange(len(known))
    neck = np.median(head_to_camera[valid, 2, 3]) + _NECK_BEHIND
    centre = np.array(principal)
    cosine, sine = motion.warp[:, 0, 0], motion.warp[:, 1, 0]
    shift = motion.warp[..., :2] @ centre + motion.warp[..., 2] - centre
    angle, size, x, y = (
        np.interp(frames, frames[known], values[known])
        for values in (np.arctan2(sine, cosine), np.hypot(sine, cosine), *shift.T)
    )
    depth = neck / size
    torso = np.tile(np.eye(4, dtype=np.float32), (len(known), 1, 1))
    torso[:, 0, 0] = torso[:, 1, 1] = np.cos(angle)
    torso[:, 1, 0], torso[:, 0, 1] = np.sin(angle), -np.sin(angle)
    torso[:, 0, 3], torso[:, 1, 3] = x * depth / focal, y * depth / focal
    torso[:, 2, 3] = depth - neck
    return torso
