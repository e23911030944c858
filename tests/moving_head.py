"""A head whose true motion is known, as a camera sees it."""

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh

FOCAL, PRINCIPAL = 1400.0, (256.0, 256.0)


def smooth_motion(count: int) -> np.ndarray:
    """A head that turns, nods and drifts: poses [F, 4, 4]."""
    time = np.arange(count) / 25
    turns = np.stack(
        [
            0.12 * np.sin(1.7 * time),
            0.25 * np.sin(1.1 * time + 1),
            0.08 * np.sin(2.3 * time),
        ],
        1,
    )
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    poses[:, :3, 3] = [0.01, -0.02, 1.0] + 0.02 * np.sin(time)[:, None] * [1, 0.5, 2]
    return poses


def canonical_face() -> np.ndarray:
    """478 points in the head frame; the irises sit at the inner corners of the eyes."""
    points = face_mesh.canonical_points()
    return np.concatenate([points, np.repeat(points[[133, 362]], 5, axis=0)])


def photograph(points: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Landmarks [F, 478, 3] of head-frame points [478, 3] or [F, 478, 3]."""
    seen = points @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]
    image = seen[..., :2] / seen[..., 2:] * FOCAL + PRINCIPAL
    origin = poses[:, None, 2, 3]
    depth = (seen[..., 2] - origin) * FOCAL / origin
    return np.concatenate([image, depth[..., None]], 2)


def angles_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    turn = first[:, :3, :3] @ second[:, :3, :3].transpose(0, 2, 1)
    return np.degrees(Rotation.from_matrix(turn).magnitude())
