"""Checks the camera poses in folders of ER-NeRF, SyncTalk and TalkingGaussian."""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import layout, peer_layout
from lokitalk_jax.doctor.finding import ERROR, PEER_AGAIN, WARNING, Finding, listed

_BOTH = "transforms_*.json"
_DEPTH = (0.1, 5.0)  # metres
# Nose and corners of the eyes in the 68 landmarks.
_RIGID = [*range(27, 36), 36, 39, 42, 45]
_MAX_SHIFT = 3  # frames


class Poses(NamedTuple):
    """Poses of a folder.

    Attributes:
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
      camera_to_head: [4, 4] by number of the frame, metres.
    """

    focal: float
    principal: tuple[float, float]
    camera_to_head: dict[int, np.ndarray]


def load(path: pathlib.Path, count: int) -> Iterator[Finding | Poses]:
    """Reads the poses of `count` frames; yields their faults, or else the poses."""
    poses, faults, contents = {}, [], []
    for name in peer_layout.TRANSFORMS:
        try:
            content = peer_layout.read_transforms(path / name)
            contents.append(content)
            for frame in content.frames:
                pose = np.array(frame.transform_matrix, np.float64)
                if pose.shape != (4, 4):
                    raise layout.Fault("transforms", f"a pose of shape {pose.shape}")
                if frame.img_id in poses:
                    seen = f"img_id {frame.img_id} occurs twice"
                    faults.append(Finding(ERROR, "transforms", name, seen, PEER_AGAIN))
                poses[frame.img_id] = pose
        except (layout.Fault, ValueError) as fault:
            yield Finding(ERROR, "transforms", name, str(fault), PEER_AGAIN)
            return
    train, held_out = contents
    if not train.frames:
        seen = "there is no frame to train on"
        name = peer_layout.TRANSFORMS[0]
        faults.append(Finding(ERROR, "pose_count", name, seen, PEER_AGAIN))
    if not held_out.frames:
        seen = "there is no held-out frame"
        remedy = "importing holds the last eleventh out instead"
        name = peer_layout.TRANSFORMS[1]
        yield Finding(WARNING, "no_held_out", name, seen, remedy)
    if len(poses) != count:
        seen = f"{len(poses)} poses for {count} frames"
        faults.append(Finding(ERROR, "pose_count", _BOTH, seen, PEER_AGAIN))
    if poses:
        faults += _rigid(poses)
    yield from faults
    if not faults or all(fault.check == "depth" for fault in faults):
        yield Poses(train.focal_len, (train.cx, train.cy), poses)


def _rigid(poses: dict[int, np.ndarray]) -> Iterator[Finding]:
    """Checks that poses are rotations with a shift of the right size."""
    array = np.stack(list(poses.values()))
    finite = np.asarray(np.isfinite(array).reshape(len(array), -1).all(axis=1))
    turn = np.where(finite[:, None, None], array, 0)[:, :3, :3]
    rigid = np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max((1, 2)) < 1e-3
    rigid &= np.linalg.det(turn) > 0
    bad = [k for k, ok in zip(poses, finite & rigid, strict=True) if not ok]
    if bad:
        seen = f"frames {listed(bad)}: not finite, or not a rotation with a shift"
        yield Finding(ERROR, "not_rigid", _BOTH, seen, PEER_AGAIN)
        return
    distance = np.median(np.linalg.norm(array[:, :3, 3], axis=1))
    if not _DEPTH[0] < distance < _DEPTH[1]:
        seen = f"the camera is usually {distance:.3g} from the head"
        remedy = "translations are metres: is there a factor of 10 or 1000?"
        yield Finding(ERROR, "depth", _BOTH, seen, remedy)


def index_shift(poses: Poses, landmarks: np.ndarray) -> Iterator[Finding]:
    """Checks that landmarks [F, 68, 2] move with the poses of their own frames."""
    by_image = poses.camera_to_head
    camera = np.stack([np.linalg.inv(by_image[k]) for k in sorted(by_image)])
    focal = poses.focal
    rays = (landmarks[:, _RIGID] - np.array(poses.principal)) / [focal, -focal]
    shifts = range(-_MAX_SHIFT, _MAX_SHIFT + 1)
    errors = {by: _triangulation_error(camera, rays, by) for by in shifts}
    best = min(errors, key=lambda by: errors[by])
    if best and errors[best] < 0.8 * errors[0]:
        seen = f"landmarks of frame i fit the pose of frame i{-best:+d} better than "
        seen += f"their own ({focal * errors[best]:.2f} px, {focal * errors[0]:.2f} px)"
        remedy = "a frame without a face shifts all poses after it; cut it out and "
        yield Finding(ERROR, "index_shift", _BOTH, seen, remedy + PEER_AGAIN)


def _triangulation_error(camera: np.ndarray, rays: np.ndarray, by: int) -> float:
    """Error of a rigid head triangulated from frames shifted by `by`.

    Args:
      camera: [F, 4, 4], head to camera; the camera looks along -z, y is up.
      rays: [F, P, 2], x / -z and y / -z of P landmarks.
      by: frames.

    Returns:
      Root mean square, in units of the focal length.
    """
    count = len(rays) - abs(by)
    if count < 10:
        return np.inf
    seen, known = rays[max(by, 0) :][:count], camera[max(-by, 0) :][:count]
    squared = 0.0
    for point in range(seen.shape[1]):
        u = seen[:, point]
        # (row_xy + u row_z) [X; 1] = 0 for each frame and both numbers.
        rows = known[:, :2] + u[..., None] * known[:, 2:3]
        rows = rows.reshape(-1, 4)
        found = np.linalg.lstsq(rows[:, :3], -rows[:, 3], rcond=None)[0]
        placed = known @ np.append(found, 1)
        error = placed[:, :2] / -placed[:, 2:3] - u
        squared += (error**2).sum(-1).mean()
    return float(np.sqrt(squared / seen.shape[1]))
