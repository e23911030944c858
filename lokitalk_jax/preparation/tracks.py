"""Tracks of an identity folder, from landmarks, poses and torso motion."""

import numpy as np

from lokitalk_jax.data import face_geometry
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.preparation import torso


def of_head(
    landmarks: np.ndarray,
    valid: np.ndarray,
    duplicate: np.ndarray,
    head_to_camera: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> Tracks:
    """The tracks [F, ...] of frames without a torso; arguments as of `assemble`."""
    return Tracks(
        head_to_camera=head_to_camera,
        landmarks=landmarks,
        lips=face_geometry.lips_in_head_frame(
            landmarks, head_to_camera, focal, principal
        ),
        eye_ratio=face_geometry.eye_ratios(landmarks),
        valid=valid,
        duplicate=duplicate,
    )


def assemble(
    landmarks: np.ndarray,
    valid: np.ndarray,
    duplicate: np.ndarray,
    head_to_camera: np.ndarray,
    motion: torso.TorsoMotion,
    focal: float,
    principal: tuple[float, float],
) -> Tracks:
    """The tracks of F frames.

    Args:
      landmarks: float32 [F, 478, 3], pixels.
      valid: bool [F], frames with a face.
      duplicate: bool [F], frames that repeat the frame before them.
      head_to_camera: float32 [F, 4, 4], metres.
      motion: of the torso.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
    """
    torso_to_camera = torso.poses(motion, head_to_camera, valid, focal, principal)
    head = of_head(landmarks, valid, duplicate, head_to_camera, focal, principal)
    return head._replace(torso_to_camera=torso_to_camera)


def quality(tracks: Tracks, motion: torso.TorsoMotion, plate_seen: float) -> dict:
    """Figures of a preparation for `Meta.quality`.

    Args:
      tracks: of the clip.
      motion: of the torso.
      plate_seen: share of the plate that was visible in some frame.
    """
    return {
        "faceless_frames": int((~tracks.valid).sum()),
        "duplicate_frames": int(tracks.duplicate.sum()),
        "torso_correlation": round(float(np.median(motion.correlation)), 4),
        "torso_tracked": tracks.torso_to_camera is not None,
        "plate_seen": round(plate_seen, 4),
    }
