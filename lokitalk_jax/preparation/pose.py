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
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh
from lokitalk_jax.preparation import bundle

# Errors are in pixels of an image with this focal length, which is usual for a head
# that fills a frame of 512 px.
REFERENCE_FOCAL = 1400.0
LANDMARK_SIGMA = 0.7 / REFERENCE_FOCAL  # image coordinates of focal length 1
SHAPE_SIGMA = 0.005  # metres, of an identity's points about the canonical ones
SHAPE_FRAMES = 400


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
    points = bundle.fit_points(
        points,
        rotations[spread],
        translations[spread],
        bundle.Seen(observed[spread], LANDMARK_SIGMA),
        SHAPE_SIGMA,
    )
    rotations, translations = bundle.fit_poses(
        points, rotations, translations, bundle.Seen(observed, LANDMARK_SIGMA), frames
    )
    projected = bundle.project(points, rotations, translations)
    error = np.linalg.norm(projected - observed, axis=2)
    return Poses(
        bundle.interpolate(rotations, translations, frames, len(valid)),
        points.astype(np.float32),
        float(np.median(error) * REFERENCE_FOCAL),
    )


def middle_frame(head_to_camera: np.ndarray, valid: np.ndarray) -> int:
    """The frame whose head is nearest to its median position.

    Args:
      head_to_camera: [F, 4, 4], metres.
      valid: bool [F], frames with a face.
    """
    place = head_to_camera[:, :3, 3]
    distance = np.linalg.norm(place - np.median(place[valid], axis=0), axis=1)
    return int(np.argmin(np.where(valid, distance, np.inf)))


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
