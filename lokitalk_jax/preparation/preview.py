"""Draws the tracks over a frame, so that a preparation can be judged by eye."""

import cv2
import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout

TINTS = {layout.TORSO: (60, 120, 255), layout.HEAD: (255, 200, 40)}
AXES = ((255, 60, 60), (60, 220, 60), (80, 120, 255))  # x, y, z
AXIS_LENGTH = 0.08  # metres
# Crosses on the chest, in the head frame at the median pose, metres.
TORSO_MARKS = ((-0.08, 0.17, 0.06), (0.0, 0.17, 0.06), (0.08, 0.17, 0.06))


def draw(
    rgb: np.ndarray,
    labels: np.ndarray,
    landmarks: np.ndarray,
    head_to_camera: np.ndarray,
    focal: float,
    principal: tuple[float, float],
    valid: bool,
    marks: np.ndarray,
) -> np.ndarray:
    """Draws labels as tints, landmarks as dots, the pose as three axes, torso marks.

    Args:
      rgb: uint8 [H, W, 3].
      labels: uint8 [H, W], see `layout`.
      landmarks: [478, 3], pixels.
      head_to_camera: [4, 4], metres.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
      valid: whether a face was found; a frame without a face is crossed out, and has
        no landmarks and no pose.
      marks: [M, 3], points in the camera frame that move with the torso, metres.

    Returns:
      uint8 [H, W, 3], a new image.
    """
    image = rgb.astype(np.float32)
    for value, tint in TINTS.items():
        image[labels == value] = 0.7 * image[labels == value] + 0.3 * np.array(
            tint, np.float32
        )
    image = np.ascontiguousarray(image.astype(np.uint8))
    height, width = labels.shape
    thin = max(1, round(height / 512))
    if not valid:
        red = (255, 40, 40)
        cv2.line(image, (0, 0), (width - 1, height - 1), red, 2 * thin)
        cv2.line(image, (0, height - 1), (width - 1, 0), red, 2 * thin)
        place = round(0.05 * width), round(0.1 * height)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, "no face", place, font, height / 512, red, 2 * thin)
        return image

    for x, y in landmarks[:, :2]:
        _dot(image, (x, y), (255, 255, 255), 0.6 * thin)
    for contour in (
        face_mesh.LIPS_OUTER,
        face_mesh.LIPS_INNER,
        face_mesh.LEFT_EYE,
        face_mesh.RIGHT_EYE,
    ):
        points = _fixed(landmarks[list(contour), :2])
        cv2.polylines(image, [points], True, (255, 80, 160), thin, cv2.LINE_AA, _SHIFT)

    ends = np.concatenate([np.zeros((1, 3)), AXIS_LENGTH * np.eye(3)])
    ends = ends @ head_to_camera[:3, :3].T + head_to_camera[:3, 3]
    if (ends[:, 2] > 0).all():
        ends = _fixed(ends[:, :2] / ends[:, 2:] * focal + principal)
        for end, colour in zip(ends[1:], AXES, strict=True):
            cv2.line(image, ends[0], end, colour, 2 * thin, cv2.LINE_AA, _SHIFT)
    for mark in _fixed(marks[:, :2] / marks[:, 2:] * focal + principal):
        for arm in np.array([[1, 0], [0, 1]]) * (6 * thin << _SHIFT):
            ends = tuple(mark - arm), tuple(mark + arm)
            cv2.line(image, *ends, (255, 255, 255), 2 * thin, cv2.LINE_AA, _SHIFT)
    return image


def torso_marks(tracks: layout.Tracks) -> np.ndarray:
    """Points [F, M, 3] that move with the torso, camera frame; M is 0 if untracked."""
    if tracks.torso_to_camera is None:
        return np.zeros((len(tracks.valid), 0, 3))
    usual = np.median(tracks.head_to_camera[tracks.valid, :3, 3], axis=0)
    marks = np.array(TORSO_MARKS) + usual
    turned = np.einsum("fij,mj->fmi", tracks.torso_to_camera[:, :3, :3], marks)
    return turned + tracks.torso_to_camera[:, None, :3, 3]


_SHIFT = 4  # OpenCV's fractional bits of a coordinate


def _fixed(points) -> np.ndarray:
    # OpenCV's integers are pixel centres, ours are pixel corners.
    return np.round((np.asarray(points) - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _dot(image, point, colour, radius):
    radius = max(1, round(radius * (1 << _SHIFT)))
    centre = tuple(_fixed(point).tolist())
    cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA, _SHIFT)
