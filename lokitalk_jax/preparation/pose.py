"""Head poses of a clip: bundle adjustment of a rigid face over all its frames.

A perspective-n-point solution on the canonical face initialises every frame. Then the
rigid points of the identity are fitted together with the poses of some hundred frames,
and finally the poses of all frames to these points, with a prior on the second
difference of the motion. Both fits are Gauss-Newton: the normal equations of the first
are reduced to the points by the Schur complement, those of the second are banded, so
time and memory grow linearly with the number of frames.

The focal length is an argument, since a talking head does not determine it: as a free
parameter it ended between 526 and 1551 px on clips of 512 px, and the error changed by
less than 3 %.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import linalg
from scipy.spatial.transform import Rotation, Slerp

from lokitalk_jax import face_mesh

# Errors are in pixels of an image with this focal length, which is usual for a head
# that fills a frame of 512 px.
REFERENCE_FOCAL = 1400.0
LANDMARK_SIGMA = 0.7 / REFERENCE_FOCAL  # image coordinates of focal length 1
SHAPE_SIGMA = 0.005  # metres, of an identity's points about the canonical ones
# Second differences of the motion: radians and metres per frame squared.
SMOOTH_SIGMA = np.array([1 / 600] * 3 + [0.001] * 3)
# Errors beyond this many sigmas have a constant influence (Huber), so that a wrong
# landmark or a cut in the clip does little harm; fast motion is also followed more
# closely than by least squares, as a comparison with optical flow shows.
HUBER = 4.0

SHAPE_FRAMES = 400
MAX_STEPS = 30
STEP_TOLERANCE = 1e-6  # radians and metres


class Poses(NamedTuple):
    """Tracked poses of F frames.

    Attributes:
      head_to_camera: float32 [F, 4, 4], metres; finite in frames without a face too.
      rigid_points: float32 [len(face_mesh.RIGID), 3], the identity's points in the
        head frame.
      reprojection_px: median distance between the points and their landmarks, scaled
        to a focal length of `REFERENCE_FOCAL`.
    """

    head_to_camera: np.ndarray
    rigid_points: np.ndarray
    reprojection_px: float


def track_poses(
    landmarks: np.ndarray,
    valid: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> Poses:
    """Tracks the head through a clip.

    Args:
      landmarks: [F, 478, 3], pixels; used in valid frames only.
      valid: bool [F], where a face was found.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.

    Returns:
      The poses. Frames without a face are interpolated between their neighbours, and
      repeat the nearest face before the first face and after the last.

    Raises:
      ValueError: no frame is valid, or a valid frame's landmarks are not finite.
    """
    frames = np.flatnonzero(valid)
    if not len(frames):
        raise ValueError(
            f"none of {len(valid)} frames shows a face, so there is no head to track; "
            "choose a video, or a part of it, that shows a face"
        )
    observed = landmarks[frames][:, face_mesh.RIGID, :2].astype(np.float64, order="C")
    observed = (observed - principal) / focal
    if not np.isfinite(observed).all():
        bad = frames[~np.isfinite(observed).all((1, 2))][0]
        raise ValueError(f"landmarks of frame {bad} are not finite; mark it not valid")

    points = face_mesh.canonical_points()[list(face_mesh.RIGID)]
    rotations, translations = _solve_pnp(points, observed)
    spread = np.unique(
        np.linspace(0, len(frames) - 1, min(SHAPE_FRAMES, len(frames))).astype(int)
    )
    points = _fit_points(
        points, rotations[spread], translations[spread], observed[spread]
    )
    rotations, translations = _fit_poses(
        points, rotations, translations, observed, frames
    )
    error = np.linalg.norm(_project(points, rotations, translations) - observed, axis=2)
    return Poses(
        _interpolate(rotations, translations, frames, len(valid)),
        points.astype(np.float32),
        float(np.median(error) * REFERENCE_FOCAL),
    )


def _solve_pnp(points, observed):
    """Rotations [F, 3, 3] and translations [F, 3] of each frame, independently."""
    camera = np.eye(3)
    solved = [
        cv2.solvePnP(points, image, camera, None, flags=cv2.SOLVEPNP_SQPNP)[1:]
        for image in observed
    ]
    vectors = np.squeeze([rotation for rotation, _ in solved], 2)
    translations = np.squeeze([translation for _, translation in solved], 2)
    return Rotation.from_rotvec(vectors).as_matrix(), translations


def _turned(points, rotations):
    return points @ rotations.transpose(0, 2, 1)


def _project(points, rotations, translations):
    seen = _turned(points, rotations) + translations[:, None]
    return seen[..., :2] / seen[..., 2:]


def _huber(size):
    return np.minimum(1, HUBER / np.maximum(size, 1e-12))


def _linearise(points, rotations, translations, observed):
    """Errors in sigmas [F, 2n], and their derivatives, both weighted.

    Returns:
      errors [F, 2n], with respect to poses [F, 2n, 6] (a rotation vector applied from
      the left, then a shift) and to points in the camera frame [F, n, 2, 3].
    """
    turned = _turned(points, rotations)
    x, y, z = np.moveaxis(turned + translations[:, None], 2, 0)
    error = np.stack([x / z, y / z], 2) - observed
    weight = 1 / LANDMARK_SIGMA
    weight *= np.sqrt(_huber(np.linalg.norm(error, axis=2) / LANDMARK_SIGMA))
    zero = np.zeros_like(z)
    to_point = np.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], 2)
    to_point = to_point.reshape(*z.shape, 2, 3) * weight[..., None, None]
    # d(exp(w) q)/dw = w x q, hence the derivative's rows are q x row.
    to_turn = np.cross(turned[:, :, None], to_point)
    to_pose = np.concatenate([to_turn, to_point], 3)
    count = 2 * len(points)
    return (
        (error * weight[..., None]).reshape(-1, count),
        to_pose.reshape(-1, count, 6),
        to_point,
    )


def _moved(rotations, translations, step):
    turn = Rotation.from_rotvec(step[:, :3]).as_matrix()
    return turn @ rotations, translations + step[:, 3:]


def _fit_points(canonical, rotations, translations, observed):
    """Fits the points of the identity [n, 3], aligned to the canonical points.

    Turning, moving and scaling head and camera together changes no image. Only the
    prior depends on it, and so keeps the points aligned to the canonical face in the
    least-squares sense.
    """
    count = len(canonical)
    points = canonical
    stiffness = 1 / SHAPE_SIGMA**2
    for _ in range(MAX_STEPS):
        errors, to_pose, to_point = _linearise(
            points, rotations, translations, observed
        )
        to_point = to_point @ rotations[:, None]
        pose_pose = to_pose.transpose(0, 2, 1) @ to_pose
        split_pose = to_pose.reshape(-1, count, 2, 6)
        pose_point = np.einsum("fnia,fnib->fanb", split_pose, to_point)
        pose_point = pose_point.reshape(-1, 6, 3 * count)
        split_errors = errors.reshape(-1, count, 2)
        pose_gradient = np.einsum("fka,fk->fa", to_pose, errors)
        point_gradient = np.einsum("fnib,fni->nb", to_point, split_errors)
        point_gradient += stiffness * (points - canonical)
        blocks = np.einsum("fnia,fnib->nab", to_point, to_point)

        eliminated = np.linalg.solve(pose_pose, pose_point)  # [F, 6, 3n]
        reduced = np.asarray(linalg.block_diag(*blocks))
        reduced = reduced + stiffness * np.eye(3 * count)
        reduced -= np.einsum("fak,fal->kl", pose_point, eliminated, optimize=True)
        right = point_gradient.ravel()
        right = right - np.einsum("fak,fa->k", eliminated, pose_gradient)
        point_step = -linalg.solve(reduced, right, assume_a="pos")
        pose_step = -np.linalg.solve(pose_pose, pose_gradient[..., None])[..., 0]
        pose_step -= eliminated @ point_step

        points = points + point_step.reshape(count, 3)
        rotations, translations = _moved(rotations, translations, pose_step)
        if np.abs(point_step).max() < STEP_TOLERANCE:
            break
    return points


def _fit_poses(points, rotations, translations, observed, frames):
    """Fits the poses to the points, smooth over successive frames."""
    successive = (np.diff(frames, n=2) == 0) & (frames[2:] - frames[:-2] == 2)
    for _ in range(MAX_STEPS):
        errors, to_pose, _ = _linearise(points, rotations, translations, observed)
        blocks = to_pose.transpose(0, 2, 1) @ to_pose
        gradient = np.einsum("fka,fk->fa", to_pose, errors)

        turns = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
        steps = Rotation.from_matrix(turns).as_rotvec() if len(turns) else turns[..., 0]
        motion = np.concatenate([steps, np.diff(translations, axis=0)], 1)
        bend = np.diff(motion, axis=0) / SMOOTH_SIGMA
        weight = np.repeat(successive[:, None].astype(float), 2, 1)
        weight *= _huber(np.linalg.norm(bend.reshape(-1, 2, 3), axis=2))
        weight = np.repeat(weight, 3, 1) / SMOOTH_SIGMA  # [F - 2, 6]
        pull = weight * bend
        for offset, factor in enumerate((1, -2, 1)):
            gradient[offset : len(pull) + offset] += factor * pull

        step = -linalg.solveh_banded(
            _banded(blocks, weight / SMOOTH_SIGMA), gradient.ravel(), lower=True
        ).reshape(-1, 6)
        rotations, translations = _moved(rotations, translations, step)
        if np.abs(step).max() < STEP_TOLERANCE:
            break
    return rotations, translations


def _banded(blocks, stiffness):
    """Normal equations of all poses, as the lower bands [13, 6 F] of a matrix.

    Args:
      blocks: [F, 6, 6], of each frame's landmarks.
      stiffness: [F - 2, 6], of the second differences.
    """
    count, inner = len(blocks), len(stiffness)
    bands = np.zeros((13, count, 6))
    for row in range(6):
        for column in range(row + 1):
            bands[row - column, :, column] = blocks[:, row, column]
    differences = (1, -2, 1)
    for first, a in enumerate(differences):
        for second, b in enumerate(differences[first:], first):
            band = 6 * (second - first)
            bands[band, first : inner + first] += a * b * stiffness
    return bands.reshape(13, -1)


def _interpolate(rotations, translations, frames, count):
    """Interpolates poses of `frames` to all frames, float32 [count, 4, 4]."""
    poses = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    times = np.clip(np.arange(count), frames[0], frames[-1])
    if len(frames) > 1:
        rotations = Slerp(frames, Rotation.from_matrix(rotations))(times).as_matrix()
    poses[:, :3, :3] = rotations
    for axis in range(3):
        poses[:, axis, 3] = np.interp(times, frames, translations[:, axis])
    return poses
