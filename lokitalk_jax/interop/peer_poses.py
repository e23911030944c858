"""Converts camera poses between ER-NeRF, SyncTalk or TalkingGaussian and our frames.

Theirs are camera to head, in metres, with OpenGL's axes: x right, y up, and the camera
looks along -z; the axes of the head are parallel to the camera's at rest. Ours are head
to camera with x right, y down, z forward (see `structs`). So both frames turn by
diag(1, -1, -1). The origin of the head differs (it is the mean of another face model):
`fit_head` finds it.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from lokitalk_jax.data import layout, peer_layout
from lokitalk_jax.data.peer_layout import FramePose, Transforms

_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
_FRAMES = 100  # used to fit the head


class PeerPoses(NamedTuple):
    """The poses of a folder.

    Attributes:
      camera_to_head: float64 [F, 4, 4], in their axes.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
      train_frames: number of training frames, which come first.
    """

    camera_to_head: np.ndarray
    focal: float
    principal: tuple[float, float]
    train_frames: int


def read(path: pathlib.Path) -> PeerPoses:
    """Reads both files of poses of a folder without errors."""
    train, held_out = (
        peer_layout.read_transforms(path / name) for name in peer_layout.TRANSFORMS
    )
    frames = [*train.frames, *held_out.frames]
    by_image = {frame.img_id: frame.transform_matrix for frame in frames}
    return PeerPoses(
        np.array([by_image[i] for i in sorted(by_image)], np.float64),
        train.focal_len,
        (train.cx, train.cy),
        len(train.frames) if held_out.frames else layout.train_count(len(frames)),
    )


def write(path: pathlib.Path, poses: PeerPoses) -> None:
    """Writes both files of poses."""
    frames = [
        FramePose(i, pose.tolist(), i) for i, pose in enumerate(poses.camera_to_head)
    ]
    parts = frames[: poses.train_frames], frames[poses.train_frames :]
    for name, part in zip(peer_layout.TRANSFORMS, parts, strict=True):
        content = Transforms(poses.focal, *poses.principal, part)
        peer_layout.write_transforms(path / name, content)


def to_ours(camera_to_head: np.ndarray) -> np.ndarray:
    """Head to camera in our axes, of the same origin of the head. [F, 4, 4]."""
    return _AXES @ np.linalg.inv(camera_to_head) @ _AXES


def to_theirs(head_to_camera: np.ndarray) -> np.ndarray:
    """Camera to head in their axes, the inverse of `to_ours`. [F, 4, 4]."""
    return np.linalg.inv(_AXES @ np.float64(head_to_camera) @ _AXES)


class Head(NamedTuple):
    """Our head frame within theirs: x_theirs = scale * turn @ x_ours + shift.

    Attributes:
      turn: [3, 3], rotation.
      shift: [3], their metres.
      scale: their metres in one of ours.
      error: median distance between landmarks and the average face, in units of the
        focal length.
    """

    turn: np.ndarray
    shift: np.ndarray
    scale: float
    error: float


def fit_head(head_to_camera: np.ndarray, points: np.ndarray, seen: np.ndarray) -> Head:
    """Fits our head frame to landmarks under known poses of theirs.

    Args:
      head_to_camera: [F, 4, 4], of their head frame, in our axes.
      points: [P, 3], points of the average face in our head frame, metres.
      seen: [F, P, 2], their image coordinates at focal length 1.
    """
    at = np.unique(np.linspace(0, len(seen) - 1, _FRAMES).astype(int))
    turns, shifts = head_to_camera[at, :3, :3], head_to_camera[at, None, :3, 3]

    def in_camera(values: np.ndarray) -> np.ndarray:
        turn, shift = Rotation.from_rotvec(values[:3]).as_matrix(), values[3:6]
        inside = np.exp(values[6]) * points @ turn.T + shift
        return np.einsum("fij,pj->fpi", turns, inside) + shifts

    def difference(values: np.ndarray) -> np.ndarray:
        camera = in_camera(values)
        return camera[..., :2] / camera[..., 2:] - seen[at]

    found = least_squares(
        lambda values: difference(values).ravel(),
        np.zeros(7),
        loss="soft_l1",
        f_scale=0.005,
        x_scale=[0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.05],
    ).x
    error = float(np.median(np.linalg.norm(difference(found), axis=-1)))
    turn = Rotation.from_rotvec(found[:3]).as_matrix()
    return Head(turn, found[3:6], float(np.exp(found[6])), error)


def of_our_head(head_to_camera: np.ndarray, head: Head) -> np.ndarray:
    """Poses of our head frame, [F, 4, 4], from poses of theirs.

    Everything is divided by the scale, which images do not determine, so that poses
    are rigid and the head has the size of our heads.
    """
    turn = head_to_camera[:, :3, :3] @ head.turn
    shift = head_to_camera[:, :3, :3] @ head.shift + head_to_camera[:, :3, 3]
    poses = np.tile(np.eye(4), (len(turn), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turn, shift / head.scale
    return poses
