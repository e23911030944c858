"""Camera poses of ER-NeRF, SyncTalk and TalkingGaussian, in and out of ours.

Theirs are camera to head, in metres, with OpenGL's axes: x right, y up, and the camera
looks along -z; the head's axes are parallel to the camera's at rest. Ours are head to
camera with x right, y down, z forward (see `structs`). So both frames turn by
diag(1, -1, -1), and nothing else changes. Which point of the head is the origin differs
(the mean of another face model): `fit_head` finds out.
"""

import json
import pathlib
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

SPLITS = ("transforms_train.json", "transforms_val.json")
_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
_FRAMES = 100  # that are looked at for where the head is


class PeerPoses(NamedTuple):
    """The poses of a folder.

    Attributes:
      camera_to_head: float64 [F, 4, 4], as they are written.
      focal: pixels.
      principal: x and y, pixels.
      train_frames: how many of the frames train.
    """

    camera_to_head: np.ndarray
    focal: float
    principal: tuple[float, float]
    train_frames: int


def read(path: pathlib.Path) -> PeerPoses:
    """Reads the two files of a folder that the doctor found no error in."""
    contents = [json.loads((path / name).read_text()) for name in SPLITS]
    frames = [frame for content in contents for frame in content["frames"]]
    by_image = {int(f["img_id"]): f["transform_matrix"] for f in frames}
    first = contents[0]
    return PeerPoses(
        np.array([by_image[i] for i in sorted(by_image)], np.float64),
        float(first["focal_len"]),
        (float(first["cx"]), float(first["cy"])),
        len(first["frames"]),
    )


def write(path: pathlib.Path, poses: PeerPoses) -> None:
    """Writes the two files."""
    frames = [
        {"img_id": i, "aud_id": i, "transform_matrix": pose.tolist()}
        for i, pose in enumerate(poses.camera_to_head)
    ]
    count, (x, y) = poses.train_frames, poses.principal
    for name, part in zip(SPLITS, (frames[:count], frames[count:]), strict=True):
        content = {"focal_len": poses.focal, "cx": x, "cy": y, "frames": part}
        (path / name).write_text(json.dumps(content, indent=1))


def to_ours(camera_to_head: np.ndarray) -> np.ndarray:
    """Head to camera in our axes, of the same point of the head. [F, 4, 4]."""
    return _AXES @ np.linalg.inv(camera_to_head) @ _AXES


def to_theirs(head_to_camera: np.ndarray) -> np.ndarray:
    """Camera to head in their axes; undoes `to_ours`. [F, 4, 4]."""
    return np.linalg.inv(_AXES @ np.float64(head_to_camera) @ _AXES)


class Head(NamedTuple):
    """Where our head frame lies in another: x_theirs = scale * turn @ x_ours + shift.

    Attributes:
      turn: [3, 3].
      shift: [3], metres of theirs.
      scale: theirs by ours.
      error: median distance of landmarks from the average face so placed, in units of
        the focal length.
    """

    turn: np.ndarray
    shift: np.ndarray
    scale: float
    error: float


def fit_head(head_to_camera: np.ndarray, points: np.ndarray, seen: np.ndarray) -> Head:
    """Finds our head frame in one whose poses are known, by where landmarks are seen.

    Args:
      head_to_camera: [F, 4, 4], of the other frame, in our axes.
      points: [P, 3], average points of the face in our head frame, metres.
      seen: [F, P, 2], image coordinates at focal length 1.
    """
    at = np.unique(np.linspace(0, len(seen) - 1, _FRAMES).astype(int))
    turns, shifts = head_to_camera[at, :3, :3], head_to_camera[at, None, :3, 3]

    def placed(values: np.ndarray) -> np.ndarray:
        turn, shift = Rotation.from_rotvec(values[:3]).as_matrix(), values[3:6]
        inside = np.exp(values[6]) * points @ turn.T + shift
        return np.einsum("fij,pj->fpi", turns, inside) + shifts

    def apart(values: np.ndarray) -> np.ndarray:
        camera = placed(values)
        return camera[..., :2] / camera[..., 2:] - seen[at]

    found = least_squares(
        lambda values: apart(values).ravel(),
        np.zeros(7),
        loss="soft_l1",
        f_scale=0.005,
        x_scale=[0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.05],
    ).x
    error = float(np.median(np.linalg.norm(apart(found), axis=-1)))
    turn = Rotation.from_rotvec(found[:3]).as_matrix()
    return Head(turn, found[3:6], float(np.exp(found[6])), error)


def of_our_head(head_to_camera: np.ndarray, head: Head) -> np.ndarray:
    """Poses [F, 4, 4] of our head frame from those of the other.

    Everything is divided by the scale, which no picture can tell, so that the poses are
    rigid and the head has the size that ours have.
    """
    turn = head_to_camera[:, :3, :3] @ head.turn
    shift = head_to_camera[:, :3, :3] @ head.shift + head_to_camera[:, :3, 3]
    poses = np.tile(np.eye(4), (len(turn), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turn, shift / head.scale
    return poses
