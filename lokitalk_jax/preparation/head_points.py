"""Points of the rigid head that optical flow follows, for a finer pose.

Landmarks are found in each frame alone and lie a pixel off in a way that changes with
the expression; the texture of nose, temples, ears and hair lies still on the head. Hair
and ears are deep behind the face, so they determine the head's turns, which the nearly
flat face hardly does.
"""

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.preparation import bundle, pose
from lokitalk_jax.preparation.flow_points import Followed

# Standard deviations of points about the surface that they start from, metres: on the
# canonical face, and on the ellipsoid of an average head elsewhere. Points of landmarks
# hardly move: images do not tell a deep head that turns little from a flat one that
# turns much, and a face that is free becomes 1.5 times as deep for 2% less error.
_FACE_RELIEF, _HEAD_RELIEF, _LANDMARK_RELIEF = 0.006, 0.03, 0.0005
# The ellipsoid's front half: middle, half axes, depth of its front and how much deeper
# its outline is, metres.
_MIDDLE, _AXES = np.array([0.0, -0.03]), np.array([0.08, 0.11])
_FRONT, _DEPTH = -0.05, 0.10
_STEPS = 15  # of the intersection of rays with the surface

# Moving parts of the head: eyes with brows, and the canonical points that lie below the
# nose, metres; their outlines are grown by these factors. Below this share of the way
# from nose to chin the image shows the neck too.
_BROWS_GROWN, _JAW_GROWN = 1.4, 1.1
_JAW, _CHIN = 0.025, 0.75
_SUBNASALE = 2
_EDGE = 7  # pixels at the outline of the head that are left out

# Weight of a landmark's squared error; landmarks of the forehead, above this height in
# metres, move with the brows and count nothing.
_LANDMARK_WEIGHT, _FOREHEAD = 0.3, -0.045

# A point that is seen less than this in the mean is left out, and so are all if fewer
# than this number remain.
_LEAST_SEEN, _FEWEST = 0.1, 20
_SHAPE_FRAMES = 120


def rigid_part(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Pixels of the head that neither speech nor blinks nor brows move, bool [H, W].

    Args:
      labels: uint8 [H, W], see `layout`.
      landmarks: [478, 3], pixels.
    """
    head = (labels == layout.HEAD).astype(np.uint8)
    head = cv2.erode(head, np.ones((_EDGE, _EDGE), np.uint8))
    height = face_mesh.canonical_points()[:, 1]
    half = len(face_mesh.BROWS) // 2
    for part, grown in (
        (face_mesh.RIGHT_EYE + face_mesh.BROWS[:half], _BROWS_GROWN),
        (face_mesh.LEFT_EYE + face_mesh.BROWS[half:], _BROWS_GROWN),
        (np.flatnonzero(height > _JAW), _JAW_GROWN),
    ):
        places = landmarks[list(part), :2]
        middle = places.mean(0)
        outline = np.round(middle + grown * (places - middle)).astype(np.int32)
        cv2.fillConvexPoly(head, cv2.convexHull(outline), 0)
    nose, chin = landmarks[_SUBNASALE, 1], landmarks[np.argmax(height), 1]
    head[max(int(nose + _CHIN * (chin - nose)), 0) :] = 0
    return head > 0


def warps(
    poses: pose.Poses,
    reference: int,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray:
    """Coarse motion of the head in the image, float32 [F, 2, 3], array indices.

    A turn, a scale and a shift that bring the landmarks of the reference frame to those
    of each frame.

    Args:
      poses: of the F frames.
      reference: index of the reference frame.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
    """
    head_to_camera = poses.head_to_camera.astype(np.float64)
    places = bundle.project(
        poses.rigid_points, head_to_camera[:, :3, :3], head_to_camera[:, :3, 3]
    )
    places = (places * focal + np.array(principal) - 0.5).astype(np.float32)
    return np.stack(
        [cv2.estimateAffinePartial2D(places[reference], one)[0] for one in places]
    ).astype(np.float32)


def refine(
    poses: pose.Poses,
    followed: Followed,
    landmarks: np.ndarray,
    valid: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray:
    """`head_to_camera` [F, 4, 4] that agrees with landmarks and followed points.

    Bundle adjustment as in `pose`. Landmarks count less than followed points, and those
    of the forehead nothing: with equal weights raised brows lift a head by 1.3 px of
    512.

    Args:
      poses: by landmarks alone.
      followed: points of the rigid head.
      landmarks: [F, 478, 3], pixels.
      valid: bool [F], frames with a face.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
    """
    frames = np.flatnonzero(valid)
    kept = followed.weights[frames].mean(0, dtype=np.float64) > _LEAST_SEEN
    if kept.sum() < _FEWEST:
        return poses.head_to_camera
    middle = np.array(principal)
    head_to_camera = poses.head_to_camera[frames].astype(np.float64)
    rotations, translations = head_to_camera[:, :3, :3], head_to_camera[:, :3, 3]
    reference = poses.head_to_camera[pose.middle_frame(poses.head_to_camera, valid)]
    started = followed.points[kept].astype(np.float64)
    lifted, relief = _lift((started + 0.5 - middle) / focal, reference.astype("f8"))

    rigid = list(face_mesh.RIGID)
    still = face_mesh.canonical_points()[rigid, 1] > _FOREHEAD
    of_landmarks = np.broadcast_to(np.eye(2), (len(rigid), 2, 2))
    sharpness = np.concatenate([of_landmarks, followed.sharpness[kept]])

    def seen_in(chosen: np.ndarray) -> bundle.Seen:
        observed = landmarks[chosen][:, rigid, :2].astype(np.float64)
        places = followed.places[chosen][:, kept].astype(np.float64)
        places = np.concatenate(
            [(observed - middle) / focal, (places + 0.5 - middle) / focal], 1
        )
        of_landmarks = np.broadcast_to(_LANDMARK_WEIGHT * still, observed.shape[:2])
        of_points = followed.weights[chosen][:, kept].astype(np.float64)
        weights = np.concatenate([of_landmarks, of_points], 1)
        return bundle.Seen(places, pose.LANDMARK_SIGMA, weights, sharpness)

    spread = np.linspace(0, len(frames) - 1, min(_SHAPE_FRAMES, len(frames)))
    spread = np.unique(spread.astype(int))
    points = bundle.fit_points(
        np.concatenate([poses.rigid_points, lifted]),
        rotations[spread],
        translations[spread],
        seen_in(frames[spread]),
        np.concatenate([np.full(len(rigid), _LANDMARK_RELIEF), relief]),
    )
    rotations, translations = bundle.fit_poses(
        points, rotations, translations, bundle.SeenLater(seen_in, frames), frames
    )
    return bundle.interpolate(rotations, translations, frames, len(valid))


def _lift(places: np.ndarray, head_to_camera: np.ndarray):
    """Finds where rays meet an average head.

    Args:
      places: [P, 2], image coordinates of focal length 1.
      head_to_camera: [4, 4], metres.

    Returns:
      points [P, 3] in the head frame and standard deviations of their errors [P],
      metres.
    """
    face = face_mesh.canonical_points()
    depth = LinearNDInterpolator(face[:, :2], face[:, 2])
    rotation, shift = head_to_camera[:3, :3], head_to_camera[:3, 3]
    rays = np.pad(places, ((0, 0), (0, 1)), constant_values=1) @ rotation
    eye = -shift @ rotation
    z = np.full(len(rays), _FRONT)
    for _ in range(_STEPS):
        points = eye + rays * ((z - eye[2]) / rays[:, 2])[:, None]
        across = ((points[:, :2] - _MIDDLE) / _AXES) ** 2
        behind = 1 - np.sqrt(np.maximum(1 - across.sum(1), 0))
        on_face = depth(points[:, :2])
        z = np.where(np.isnan(on_face), _FRONT + _DEPTH * behind, on_face)
    points = eye + rays * ((z - eye[2]) / rays[:, 2])[:, None]
    return points, np.where(np.isnan(on_face), _HEAD_RELIEF, _FACE_RELIEF)
