"""Mouth landmark distance by the face alignment network (FAN), as in other papers.

The package face_alignment needs PyTorch, so it is no requirement. It is used only if
the package and its weights are installed already; nothing is downloaded.
"""

import importlib
import importlib.util
import os
import pathlib
from collections.abc import Callable

import numpy as np

from lokitalk_jax.evaluation.metrics import mouth

_MOUTH = slice(48, 68)
_WEIGHTS = ("2DFAN4*", "s3fd*")

# From uint8 RGB [H, W, 3] to points [68, 2] of the largest face, pixels, or None.
Finder = Callable[[np.ndarray], np.ndarray | None]


def find() -> Finder | None:
    """Loads the network on the CPU; None if the package or its weights are missing."""
    if importlib.util.find_spec("face_alignment") is None:
        return None
    home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    folder = pathlib.Path(home).expanduser() / "hub" / "checkpoints"
    if not all(any(folder.glob(name)) for name in _WEIGHTS):
        return None
    face_alignment = importlib.import_module("face_alignment")
    network = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device="cpu"
    )

    def points(rgb: np.ndarray) -> np.ndarray | None:
        found: list[np.ndarray] = network.get_landmarks(rgb) or []
        return max(found, key=lambda p: np.ptp(p, axis=0).prod(), default=None)

    return points


def mouth_distance(
    truth: np.ndarray | None, prediction: np.ndarray | None
) -> float | None:
    """LMD as published, see `mouth.landmark_distance`.

    Args:
      truth: [68, 2], pixels; None if no face was found.
      prediction: [68, 2].

    Returns:
      mean distance, pixels; None if a face is missing.
    """
    if truth is None or prediction is None:
        return None
    return float(mouth.centred_distance(truth[_MOUTH], prediction[_MOUTH]))
