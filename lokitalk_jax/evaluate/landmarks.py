"""Mouth landmark distance (LMD): does the rendered mouth take the true shape.

As in ER-NeRF and InsTaG: the 20 mouth points of the 68-point face, each set moved to
its own mean, and the mean distance in pixels of the frame. A distance in pixels grows
with the frame, so it compares at one size only. Their points come from another
detector (FAN); these are the nearest points of MediaPipe's face mesh.
"""

from typing import Protocol

import numpy as np

from lokitalk_jax.prepare import faces

MOUTH = faces.MESH_TO_68[48:68]


class Detector(Protocol):
    """What finds faces; `faces.FaceDetector` does."""

    def detect(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Landmarks [478, 3], pixels, of each face in uint8 RGB, largest first."""


def mouth_distance(truth: np.ndarray, prediction: np.ndarray) -> float:
    """LMD of one face.

    Args:
      truth: [478, 3], landmarks, pixels; depth is not used.
      prediction: [478, 3].

    Returns:
      Mean distance of the mouth points, pixels, after each mouth is centred.
    """
    a, b = (np.float64(points)[list(MOUTH), :2] for points in (truth, prediction))
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=-1).mean())


class MouthDistances:
    """LMD of a clip, gathered frame by frame."""

    def __init__(self, truth_detector: Detector, prediction_detector: Detector):
        """Takes the detectors.

        Args:
          truth_detector: sees the true frames, in order.
          prediction_detector: sees the rendered ones. Another object of the same
            kind, since a detector may follow faces from call to call and would carry
            them over from the truth.
        """
        self._detectors = truth_detector, prediction_detector
        self._sum = 0.0
        self._count = 0
        self._missed = 0

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> float | None:
        """Adds a frame.

        Args:
          truth: uint8 RGB [H, W, 3].
          prediction: uint8 RGB [H, W, 3].

        Returns:
          LMD of the largest true face and the rendered face nearest to it, pixels;
          None where either image shows no face.
        """
        # Both always look, as a detector that follows faces must miss no frame.
        found = [
            detector.detect(frame)
            for detector, frame in zip(
                self._detectors, (truth, prediction), strict=True
            )
        ]
        if not all(found):
            self._missed += 1
            return None
        face = found[0][0]
        nearest = min(
            found[1], key=lambda other: np.linalg.norm((other - face)[:, :2].mean(0))
        )
        distance = mouth_distance(face, nearest)
        self._sum += distance
        self._count += 1
        return distance

    def result(self) -> dict[str, float | int | None]:
        """{"lmd_px": mean or None, "missed_faces": frames without one}, for JSON."""
        mean = self._sum / self._count if self._count else None
        return {"lmd_px": mean, "missed_faces": self._missed}
