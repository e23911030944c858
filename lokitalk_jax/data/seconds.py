"""Chooses the seconds of a clip that show most of a person.

A stretch is good if every frame of the clip resembles one of its frames in the shape of
the lips, the turn of the head and the openness of the eyes.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.data import pose_vectors
from lokitalk_jax.data.layout import Tracks

CHOICES = ("first", "best")

# Spread below which a signal counts as still: metres, radians and eye ratio, root mean
# squares about the mean.
_STILL_LIPS, _STILL_HEAD, _STILL_EYES = 1e-3, 0.02, 0.02
_LIP_DIRECTIONS = 6
# This many frames of the clip are compared with every other frame of a stretch;
# stretches begin this many frames apart.
_COMPARED, _SKIP, _STRIDE = 500, 2, 10
# Share of usable frames that a stretch has at least.
_USABLE = 0.5


def excerpt(
    tracks: Tracks, usable: np.ndarray, seconds: float, choose: str = "first"
) -> np.ndarray:
    """The usable frames of a stretch of a clip, bool [F].

    Args:
      tracks: of F frames.
      usable: bool [F], frames with a face that may be trained on.
      seconds: length of the stretch.
      choose: "first", from the start of the clip; or "best", see the module.

    Raises:
      ValueError: `choose` is neither.
    """
    if choose not in CHOICES:
        raise ValueError(f"data.choose={choose} is none of {', '.join(CHOICES)}")
    count = seconds * structs.FPS
    begin = 0
    if choose == "best":
        begin = ranked(tracks, usable, max(round(count), 1))[0][0]
    frames = np.arange(len(usable))
    return usable & (frames >= begin) & (frames < begin + count)


def ranked(tracks: Tracks, usable: np.ndarray, count: int) -> list[tuple[int, float]]:
    """First frames of stretches of `count` frames and their distances, best first.

    The distance is the mean over the clip's usable frames of the distance to the most
    similar frame of the stretch; 1 is the spread of lips, head or eyes about their
    means. The only stretch of a clip that is not longer begins at frame 0.

    Args:
      tracks: of F frames.
      usable: bool [F], frames that may be trained on.
      count: frames of a stretch.
    """
    frames = np.flatnonzero(usable)
    if not len(frames) or len(usable) <= count:
        return [(0, 0.0)]
    described = _described(tracks, frames)
    spread = np.linspace(0, len(frames) - 1, min(_COMPARED, len(frames))).astype(int)
    compared = described[np.unique(spread)]
    found = []
    last = int(frames[-1]) + 1 - count
    for begin in range(0, max(last, 0) + 1, _STRIDE):
        inside = np.flatnonzero((frames >= begin) & (frames < begin + count))
        if len(inside) < _USABLE * count:
            continue
        seen = described[inside[::_SKIP]]
        squares = (compared**2).sum(1)[:, None] + (seen**2).sum(1)
        squares = squares - 2 * compared @ seen.T
        nearest = np.sqrt(np.maximum(squares.min(1), 0))
        found.append((begin, float(nearest.mean())))
    return sorted(found, key=lambda one: one[1]) or [(0, 0.0)]


def _described(tracks: Tracks, frames: np.ndarray) -> np.ndarray:
    """Lips, head and eyes of frames [n, D], each of unit spread."""
    lips = tracks.lips[frames].reshape(len(frames), -1).astype(np.float64)
    lips = lips - lips.mean(0)
    directions = np.linalg.svd(lips, full_matrices=False)[2][:_LIP_DIRECTIONS]
    poses = tracks.head_to_camera[frames].astype(np.float64)
    turns = np.linalg.inv(pose_vectors.mean(poses)) @ poses
    head = Rotation.from_matrix(turns[:, :3, :3]).as_rotvec()
    eyes = tracks.eye_ratio[frames].mean(1, keepdims=True).astype(np.float64)
    # Lips are measured by the motion of a landmark.
    landmarks = np.sqrt(lips.shape[1] / 3)
    parts = [
        (lips @ directions.T / landmarks, _STILL_LIPS),
        (head, _STILL_HEAD),
        (eyes, _STILL_EYES),
    ]
    scaled = []
    for part, still in parts:
        part = part - part.mean(0)
        size = np.sqrt((part**2).sum(1).mean())
        scaled.append(part / max(size, still))
    return np.concatenate(scaled, 1)
