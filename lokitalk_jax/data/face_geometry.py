"""Geometry of landmarks: lips in the head frame, openness of eyes, height of brows."""

from collections.abc import Sequence

import numpy as np

from lokitalk_jax import face_mesh

# Of the right eye, then of the left: outer, inner, inner, outer.
_EYE_CORNERS = (33, 133, 362, 263)
_CHUNK = 250  # frames whose landmarks are in memory as float64 at once


def lips_in_head_frame(
    landmarks: np.ndarray,
    head_to_camera: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray:
    """Moves the lip landmarks into the head frame, see `points_in_head_frame`.

    Returns:
      float32 [F, 40, 3] in the order of `face_mesh.LIPS`: 20 points of the outer
      contour, then 20 of the inner one, each from the mouth corner at the image's left
      along the upper lip to the other corner and back along the lower lip.
    """
    return points_in_head_frame(
        landmarks, head_to_camera, focal, principal, face_mesh.LIPS
    )


def points_in_head_frame(
    landmarks: np.ndarray,
    head_to_camera: np.ndarray,
    focal: float,
    principal: tuple[float, float],
    chosen: Sequence[int],
) -> np.ndarray:
    """Moves landmarks into the head frame.

    A landmark's depth is relative and in pixels. It becomes metres at the scale of
    the head, Z / focal, with Z the depth of the head's origin, and is then anchored to
    the tracked pose: to it is added the plane over the image, fitted in each frame,
    that brings the rigid landmarks to the depth of the canonical rigid points. The
    landmark is moved along its ray to that depth, and into the head frame.

    The plane removes the tilt of the detector's relative depth against the pose. With a
    constant instead, 14 to 51 % of the lips' variance on six clips was a linear
    function of the head's rotation; with the plane it is 7 to 26 %.

    Args:
      landmarks: [F, 478, 3], pixels.
      head_to_camera: [F, 4, 4], metres.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
      chosen: numbers of the P landmarks to move.

    Returns:
      float32 [F, P, 3], metres.
    """
    count, chosen = len(landmarks), list(chosen)
    moved = np.empty((count, len(chosen), 3), np.float32)
    for first in range(0, count, _CHUNK):
        part = slice(first, first + _CHUNK)
        moved[part] = _moved(
            landmarks[part], head_to_camera[part], focal, principal, chosen
        )
    return moved


def _moved(
    landmarks: np.ndarray,
    head_to_camera: np.ndarray,
    focal: float,
    principal: tuple[float, float],
    chosen: list[int],
) -> np.ndarray:
    """`points_in_head_frame` of a few frames, float64 [F, P, 3]."""
    landmarks = landmarks.astype(np.float64)
    rotations = head_to_camera[:, :3, :3].astype(np.float64)
    translations = head_to_camera[:, :3, 3].astype(np.float64)
    rigid = list(face_mesh.RIGID)

    metres = translations[:, 2:] / focal
    known = face_mesh.canonical_points()[rigid] @ rotations[:, 2, :, None]
    known = known[..., 0] + translations[:, 2:]
    rays = np.ones_like(landmarks)
    rays[..., :2] = (landmarks[..., :2] - principal) / focal
    missing = known - metres * landmarks[:, rigid, 2]
    plane = np.linalg.pinv(rays[:, rigid]) @ missing[..., None]  # [F, 3, 1]

    rays, relative = rays[:, chosen], landmarks[:, chosen, 2]
    depth = metres * relative + (rays @ plane)[..., 0]
    in_camera = rays * depth[..., None] - translations[:, None]
    return in_camera @ rotations


def eye_ratios(landmarks: np.ndarray) -> np.ndarray:
    """Openness of the eyes: mean of two lid distances over the eye's width.

    The eye aspect ratio of Soukupova and Cech (2016), from six landmarks an eye.

    Args:
      landmarks: [F, 478, 3], pixels.

    Returns:
      float32 [F, 2], the person's left and right eye; about 0.1 closed, 0.3 open.
    """
    ratios = []
    for eye in (face_mesh.LEFT_EYE_6, face_mesh.RIGHT_EYE_6):
        p = landmarks[:, eye, :2].astype(np.float64)
        heights = np.linalg.norm(p[:, [1, 2]] - p[:, [5, 4]], axis=2).sum(1)
        width = np.linalg.norm(p[:, 0] - p[:, 3], axis=1)
        ratios.append(heights / np.maximum(2 * width, 1e-6))
    return np.stack(ratios, 1).astype(np.float32)


def brow_heights(landmarks: np.ndarray, head_to_camera: np.ndarray) -> np.ndarray:
    """Height of the brows above the corners of the eyes, along the face.

    Perspective is left out: over a face's depth it changes heights by a few per cent.

    Args:
      landmarks: [F, 478, 3], pixels.
      head_to_camera: [F, 4, 4], metres.

    Returns:
      float32 [F], mean of both brows, in distances between the outer corners of the
      eyes; about 0.15 to 0.3.
    """
    heights = np.empty(len(landmarks), np.float32)
    for first in range(0, len(landmarks), _CHUNK):
        part = slice(first, first + _CHUNK)
        heights[part] = _heights(landmarks[part], head_to_camera[part])
    return heights


def _heights(landmarks: np.ndarray, head_to_camera: np.ndarray) -> np.ndarray:
    """`brow_heights` of a few frames, float64 [F]."""
    upright = landmarks.astype(np.float64) @ head_to_camera[:, :3, :3]
    corners = upright[:, _EYE_CORNERS]
    width = np.linalg.norm(corners[:, 0] - corners[:, -1], axis=-1)
    brows = upright[:, face_mesh.BROWS, 1].mean(1)
    return (corners[..., 1].mean(1) - brows) / np.maximum(width, 1e-6)
