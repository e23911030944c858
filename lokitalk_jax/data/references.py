"""Reference frames: frames of a person, projected to a frontal view.

A frame is projected onto a plane through the face that is fixed in the head frame, so
that a pixel is the same place of the head in every reference of every person, as a cell
of the canonical grid is.
"""

from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data.dataset import Dataset


class ReferenceSpec(NamedTuple):
    """Number and size of reference frames.

    Attributes:
      count: K, references of an identity.
      size: E, pixels along a side.
      square: left end, upper end and side of the square that they show, in the head
        frame, metres.
    """

    count: int
    size: int
    square: tuple[float, float, float]


# Depth of the plane in the head frame, metres: between nose tip and ears.
PLANE = -0.03


def from_config(config) -> ReferenceSpec | None:
    """References for the encoder of a config's model; None without an encoder."""
    if not config.model.encoder:
        return None
    low, high = np.array(config.scene.low), np.array(config.scene.high)
    # The side of the grid's unit cube that faces the viewer.
    side = float((high - low).max())
    left, top = ((low + high) / 2 - side / 2)[:2].tolist()
    return ReferenceSpec(
        config.data.references, config.model.reference_size, (left, top, side)
    )


def homography(
    intrinsics: np.ndarray, head_to_camera: np.ndarray, spec: ReferenceSpec
) -> np.ndarray:
    """Homography from pixels of a reference to pixels of a frame, [3, 3].

    Args:
      intrinsics: [3], focal length, principal x and y, pixels.
      head_to_camera: [4, 4], metres.
      spec: size of the reference.
    """
    focal, *principal = intrinsics
    camera = np.array([[focal, 0, principal[0]], [0, focal, principal[1]], [0, 0, 1]])
    left, top, side = spec.square
    pixel = side / spec.size
    to_plane = np.array([[pixel, 0, left], [0, pixel, top], [0, 0, PLANE], [0, 0, 1]])
    return camera @ head_to_camera[:3] @ to_plane


def project(
    rgb: np.ndarray,
    mask: np.ndarray,
    intrinsics: np.ndarray,
    head_to_camera: np.ndarray,
    spec: ReferenceSpec,
) -> np.ndarray:
    """Projects a frame to a reference, float32 [E, E, 4]: colour times mask, and mask.

    Args:
      rgb: float32 [H, W, 3] in [0, 1].
      mask: float32 [H, W] in [0, 1], of the person.
      intrinsics, head_to_camera, spec: see `homography`.
    """
    # Homographies are between pixel corners, OpenCV's between pixel centres.
    centres = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    warp = np.linalg.inv(centres) @ homography(intrinsics, head_to_camera, spec)
    return cv2.warpPerspective(
        np.concatenate([rgb * mask[..., None], mask[..., None]], -1),
        warp @ centres,
        (spec.size, spec.size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )


def make(
    data: Dataset, frames: np.ndarray, head: np.ndarray, spec: ReferenceSpec
) -> structs.References:
    """Makes references from frames of a clip.

    Args:
      data: the clip.
      frames: int [K].
      head: [F, 6], the clip's head signal, see `structs.Signals`.
      spec: size of the references.

    Returns:
      float32 leaves [K, ...].
    """
    images = np.empty((len(frames), spec.size, spec.size, 4), np.float32)
    poses = data.tracks.head_to_camera[frames].astype(np.float64)
    for image, index, pose in zip(images, frames, poses, strict=True):
        rgb, mask, _ = data.frame(index)
        image[...] = project(rgb, mask, data.camera.intrinsics, pose, spec)
    lengths = np.stack(
        [
            poses[:, 2, 3] / structs.UNIT,
            np.full(len(frames), data.camera.intrinsics[0] / data.camera.height),
        ],
        -1,
    )
    cameras = np.concatenate([head[frames], lengths], -1)
    return structs.References(images, cameras.astype(np.float32))


def spread(frames: np.ndarray, count: int) -> np.ndarray:
    """`count` of the frame numbers `frames` [M] (or all, if fewer), evenly spaced."""
    count = min(count, len(frames))
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
