"""Poses [4, 4] as vectors [6], and their mean."""

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs


def to_vector(pose: np.ndarray) -> np.ndarray:
    """Rotation vector (radians) and translation (`structs.UNIT`s) of [..., 4, 4]."""
    rotation = Rotation.from_matrix(pose[..., :3, :3].reshape(-1, 3, 3)).as_rotvec()
    rotation = rotation.reshape(*pose.shape[:-2], 3)
    return np.concatenate([rotation, pose[..., :3, 3] / structs.UNIT], -1)


def from_vector(vector: np.ndarray) -> np.ndarray:
    """The inverse of `to_vector`: [..., 6] to [..., 4, 4], metres."""
    pose = np.zeros((*vector.shape[:-1], 4, 4), vector.dtype)
    rotation = Rotation.from_rotvec(vector[..., :3].reshape(-1, 3)).as_matrix()
    pose[..., :3, :3] = rotation.reshape(*vector.shape[:-1], 3, 3)
    pose[..., :3, 3] = vector[..., 3:] * structs.UNIT
    pose[..., 3, 3] = 1
    return pose


def mean(poses: np.ndarray) -> np.ndarray:
    """Chordal mean of the rotations and mean translation: [F, 4, 4] to [4, 4]."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    pose[:3, 3] = poses[:, :3, 3].mean(0)
    return pose
