"""Scores of eyes and expression, from face landmarks and blendshapes."""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import face_geometry


class Blendshapes(NamedTuple):
    """Scores of MediaPipe's blendshapes in true and rendered faces.

    Attributes:
      truth: [F, 52] in [0, 1]; NaN where unknown.
      prediction: [F, 52].
      names: of the 52 blendshapes.
    """

    truth: np.ndarray
    prediction: np.ndarray
    names: tuple[str, ...]


def eye_ratio_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute difference of the eye aspect ratios, mean of both eyes.

    Soukupova and Cech 2016.

    Args:
      truth: landmarks [F, 478, 3], pixels; NaN in frames without a face.
      prediction: landmarks [F, 478, 3].

    Returns:
      [F].
    """
    ratios = [face_geometry.eye_ratios(one) for one in (truth, prediction)]
    return np.abs(ratios[0] - ratios[1]).mean(-1)


def blendshape_errors(shapes: Blendshapes) -> tuple[np.ndarray, np.ndarray]:
    """Summed squared errors of blendshapes of the upper and the lower face.

    The counterpart of the action unit error (AUE) that papers compute with OpenFace.
    Gaze directions are left out.

    Returns:
      upper (brows, lids) and lower (jaw, mouth, cheeks), each [F].
    """
    squared = (np.float64(shapes.truth) - shapes.prediction) ** 2
    lower = [one.startswith(("jaw", "mouth", "cheekPuff")) for one in shapes.names]
    upper = [
        one.startswith(("brow", "eye", "cheekSquint")) and not one.startswith("eyeLook")
        for one in shapes.names
    ]
    return squared[:, upper].sum(-1), squared[:, lower].sum(-1)
