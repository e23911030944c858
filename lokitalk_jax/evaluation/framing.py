"""Whether truth and prediction show the face at the same place of the frame.

Some programs cut the face out otherwise, or move the head otherwise. Scores that
compare pixel with pixel then say nothing, and are left out.
"""

from typing import Any

import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.evaluation.metrics import mouth
from lokitalk_jax.evaluation.report.clip import Clip

_APART, _LARGER = 0.02, 0.03  # face widths; logarithm of the sizes' ratio
# They need no true frame, or align the faces first.
_KEPT = ("cpbd", "cpbd_truth", "sharpness", "sharpness_truth")
_LANDMARKS = ("lmd_px", "lmd_face", "lmd_fan_px")


def same(truth: np.ndarray, prediction: np.ndarray) -> bool:
    """Whether the faces of most frames lie over each other.

    Args:
      truth, prediction: landmarks [F, 478, 3], pixels; NaN in frames without a face.
    """
    rigid = list(face_mesh.RIGID)
    apart = np.linalg.norm(
        (truth[:, rigid, :2] - prediction[:, rigid, :2]).mean(1), axis=-1
    )
    widths = mouth.face_widths(truth), mouth.face_widths(prediction)
    both = np.isfinite(apart)
    if not both.any():
        return True
    apart, (one, other) = apart[both], (x[both] for x in widths)
    larger = np.abs(np.log(other / one))
    return bool(np.median(apart / one) < _APART and np.median(larger) < _LARGER)


def without_pixels(clip: Clip) -> Clip:
    """A clip without the scores that compare pixel with pixel."""
    scores = dict(clip.scores)
    scores["intervals"] = _without(scores["intervals"])
    rows = [
        {key: None if compares(key) else value for key, value in row.items()}
        for row in clip.rows
    ]
    return clip._replace(scores=_without(scores), rows=rows, extremes=None)


def compares(key: str) -> bool:
    """Whether a score, by its path, compares pixel with pixel."""
    region, _, name = key.partition(".")
    if region in structs.REGIONS:
        return True  # the true region is elsewhere in the prediction
    return (region == "frame" and name not in _KEPT) or key in _LANDMARKS


def _without(tree: dict[str, Any]) -> dict[str, Any]:
    found = dict(tree)
    for name, value in tree.items():
        if name in ("frame", *structs.REGIONS):
            found[name] = {
                key: None if compares(f"{name}.{key}") else one
                for key, one in value.items()
            }
        elif name in _LANDMARKS:
            found[name] = None
    return found
