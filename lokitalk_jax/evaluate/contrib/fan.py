"""The face alignment network (FAN), whose points other papers score LMD by.

The package face_alignment and its weights bring PyTorch along, so neither is needed:
where both are there already they are used, and nothing is downloaded.
"""

import importlib.util
import os
import pathlib
from collections.abc import Callable

import numpy as np

POINTS = 68
_MOUTH = slice(48, 68)
_WEIGHTS = ("2DFAN4*", "s3fd*")

# uint8 RGB [H, W, 3] to the points [68, 2] of the largest face, pixels, or None.
Finder = Callable[[np.ndarray], np.ndarray | None]


def find() -> Finder | None:
    """The network on the CPU; None where the package or its weights are missing."""
    if importlib.util.find_spec("face_alignment") is None:
        return None
    home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    folder = pathlib.Path(home).expanduser() / "hub" / "checkpoints"
    if not all(any(folder.glob(name)) for name in _WEIGHTS):
        return None
    import face_alignment

    network = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device="cpu"
    )

    def points(rgb: np.ndarray) -> np.ndarray | None:
        found = network.get_landmarks(rgb)
        return max(found, key=lambda p: np.ptp(p, axis=0).prod()) if found else None

    return points


def mouth_distance(
    truth: np.ndarray | None, prediction: np.ndarray | None
) -> float | None:
    """LMD as published: the mouth's points, each set moved to its mean.

    Args:
      truth: [68, 2], pixels; None where no face was found.
      prediction: [68, 2].

    Returns:
      mean distance, pixels; None where either shows no face.
    """
    if truth is None or prediction is None:
        return None
    a, b = (np.float64(points)[_MOUTH] for points in (truth, prediction))
    apart = (a - a.mean(0)) - (b - b.mean(0))
    return float(np.linalg.norm(apart, axis=-1).mean())
