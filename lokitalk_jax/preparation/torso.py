"""Tracks the torso: its pixels are registered to one reference frame.

Shoulders follow a head by an amount that differs from person to person and from minute
to minute, so the pose of the head does not determine where they are; their pixels do.
A coarse registration in the image plane comes first. Points that optical flow finds
from there (`flow_points`) then determine a rigid pose of the torso, since shoulders
also lean and turn: a plane misses collars by 1.6 px of 512, a rigid torso by 0.6.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.preparation import bundle, pose
from lokitalk_jax.preparation.registration import Registration

# Longest side of the images that are registered, pixels.
SIDE = 128

# Distance of the neck behind the origin of the head frame, metres: at its depth a
# shift of pixels becomes metres.
_NECK_BEHIND = 0.06

# An average chest, an ellipsoid: its middle below and behind the origin of the head
# frame, and its half axes across, down and into the body, metres. Images of a torso
# that turns little are the same as those of its mirror image in depth that turns the
# other way, so points have to start on the right one.
_CHEST_BELOW, _CHEST_BEHIND = 0.35, 0.09
_CHEST_AXES = np.array([0.22, 0.25, 0.10])

# A frame is registered if its correlation with the reference is at least this, a clip
# if this share of its frames is. A torso that fills less of the frame is not tracked.
_CORRELATION = 0.6
_REGISTERED = 0.9
_AREA = 0.02

# Points: standard deviation of their places, pixels at `pose.REFERENCE_FOCAL`; share of
# them whose errors are independent; that of their distance from the chest, metres; sum
# of weights below which a frame does not count; frames that the shape is fitted to.
_SIGMA = 0.5
_INDEPENDENT = 0.15
_RELIEF = 0.03
_LEAST_SEEN = 6.0
_SHAPE_FRAMES = 120

# A torso is at most this many times nearer or further than the neck: pictures hardly
# tell its distance, and a wrong shape may put it anywhere.
_FARTHEST = 2.0

# Edges of the torso show its motion best, and lie just outside its label; pixels.
_MARGIN = 2


class TorsoMotion(NamedTuple):
    """Motion of the torso in F frames relative to the reference frame.

    Attributes:
      warp: float32 [F, 2, 3], from pixels of the reference to pixels of the frame; a
        turn, a scale and a shift.
      correlation: float32 [F], with the reference; 0 where registration failed.
      points: float32 [P, 2], points of the torso in the reference, array indices.
      places: float32 [F, P, 2], where they are in each frame.
      weights: float32 [F, P], how well they are seen there, 0 to 1.
      sharpness: float32 [P, 2, 2], see `flow_points.Followed`.
    """

    warp: np.ndarray
    correlation: np.ndarray
    points: np.ndarray
    places: np.ndarray
    weights: np.ndarray
    sharpness: np.ndarray

    @property
    def registered(self) -> np.ndarray:
        """Bool [F], frames that were registered."""
        return self.correlation >= _CORRELATION


def register(
    read_rgb: Callable[[int], np.ndarray],
    labels: np.ndarray,
    reference: int,
    count: int,
    done: Callable[[], object] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Registers the torso of every frame to the reference frame, coarsely.

    Args:
      read_rgb: reads a frame, uint8 [H, W, 3].
      labels: uint8 [H, W], of the reference frame; see `layout`.
      reference: index of the reference frame.
      count: F.
      done: called after each frame.

    Returns:
      warp and correlation, see `TorsoMotion`.
    """
    scale = SIDE / max(labels.shape)

    def shrunk(image: np.ndarray, interpolation=cv2.INTER_AREA) -> np.ndarray:
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)

    def grey(index: int) -> np.ndarray:
        return cv2.cvtColor(shrunk(read_rgb(index)), cv2.COLOR_RGB2GRAY)

    warps = np.tile(np.eye(2, 3, dtype=np.float32), (count, 1, 1))
    correlations = np.zeros(count, np.float32)
    labels = shrunk(labels, cv2.INTER_NEAREST)
    torso = (labels == layout.TORSO).astype(np.uint8)
    if torso.mean() < _AREA:
        return warps, correlations
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
                correlations[index] = correlation
            warps[index] = registration.warp(parameters)
            warps[index, :, 2] /= scale
            done()
    return warps, correlations


def poses(
    motion: TorsoMotion,
    head_to_camera: np.ndarray,
    valid: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray | None:
    """`torso_to_camera` [F, 4, 4], metres, or None where the torso was not tracked.

    Bundle adjustment of the points, which start on an average chest, and of a rigid
    pose in each frame. The frame of the torso is about the camera's at the reference
    frame: it turns with the points from their start to their fitted places.

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
    neck = float(np.median(head_to_camera[valid, 2, 3])) + _NECK_BEHIND
    coarse = _on_a_plane(motion.warp, neck, focal, principal)
    texture = np.linalg.norm(motion.sharpness, ord=2, axis=(1, 2))
    seen = known & (motion.weights @ texture >= _LEAST_SEEN)
    if seen.mean() < _REGISTERED:
        frames = np.flatnonzero(known)
        start = coarse[frames]
        return bundle.interpolate(start[:, :3, :3], start[:, :3, 3], frames, len(known))

    frames = np.flatnonzero(seen)
    # Pixel centres are half a pixel from array indices.
    middle = np.array(principal) - 0.5
    reference = pose.middle_frame(head_to_camera, valid)
    head = head_to_camera[reference, :3, 3].astype(np.float64)
    points = _on_a_chest((motion.points - middle) / focal, head)
    # About its own middle, a turn of the torso is not a shift too.
    centre = points.mean(0)
    rotations = coarse[frames, :3, :3]
    shifts = rotations @ centre + coarse[frames, :3, 3]

    def seen_in(chosen: np.ndarray) -> bundle.Seen:
        return bundle.Seen(
            (motion.places[chosen].astype(np.float64) - middle) / focal,
            _SIGMA / pose.REFERENCE_FOCAL,
            motion.weights[chosen] * _INDEPENDENT,
            motion.sharpness,
        )

    spread = np.linspace(0, len(frames) - 1, min(_SHAPE_FRAMES, len(frames)))
    spread = np.unique(spread.astype(int))
    fitted = bundle.fit_points(
        points - centre,
        rotations[spread],
        shifts[spread],
        seen_in(frames[spread]),
        _RELIEF,
    )
    later = bundle.SeenLater(seen_in, frames)
    for shape in (fitted, points - centre):
        found = bundle.fit_poses(shape, rotations, shifts, later, frames)
        if abs(np.log(np.median(found[1][:, 2]) / neck)) < np.log(_FARTHEST):
            break
    rotations, shifts = found
    return bundle.interpolate(rotations, shifts - rotations @ centre, frames, len(seen))


def _on_a_chest(places: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Points [P, 3] on an average chest, metres, camera frame.

    Args:
      places: [P, 2], image coordinates of focal length 1.
      head: [3], origin of the head frame.
    """
    rays = np.pad(places, ((0, 0), (0, 1)), constant_values=1)
    away = rays[:, :2] * (head[2] + _NECK_BEHIND) - head[:2] - [0, _CHEST_BELOW]
    inside = 1 - ((away / _CHEST_AXES[:2]) ** 2).sum(1)
    front = _CHEST_AXES[2] * np.sqrt(np.maximum(inside, 0))
    return rays * (head[2] + _CHEST_BEHIND - front)[:, None]


def _on_a_plane(
    warp: np.ndarray, neck: float, focal: float, principal: tuple[float, float]
) -> np.ndarray:
    """Poses [F, 4, 4] of warps: growth is read as motion towards the camera."""
    centre = np.array(principal)
    shift = warp[..., :2] @ centre + warp[..., 2] - centre
    cosine, sine = warp[:, 0, 0], warp[:, 1, 0]
    size = np.hypot(sine, cosine)
    depth = neck / size
    poses = np.tile(np.eye(4), (len(warp), 1, 1))
    poses[:, 0, 0] = poses[:, 1, 1] = cosine / size
    poses[:, 1, 0], poses[:, 0, 1] = sine / size, -sine / size
    poses[:, :2, 3] = shift * (depth / focal)[:, None]
    poses[:, 2, 3] = depth - neck
    return poses
