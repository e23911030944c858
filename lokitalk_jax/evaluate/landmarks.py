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


class FacePairs:
    """The faces of true and rendered frames, gathered in order: 11 KB a frame."""

    def __init__(self, truth_detector: Detector, prediction_detector: Detector):
        """Takes the detectors.

        Args:
          truth_detector: sees the true frames, in order.
          prediction_detector: sees the rendered ones. Another object of the same
            kind, since a detector may follow faces from call to call and would carry
            them over from the truth.
        """
        self._detectors = truth_detector, prediction_detector
        self._found: list[tuple[np.ndarray, np.ndarray]] = []

    def add(
        self, truth: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Adds a frame.

        Args:
          truth: uint8 RGB [H, W, 3].
          prediction: uint8 RGB [H, W, 3].

        Returns:
          the frame's rows of `truth` and `prediction`.
        """
        # Both always look, as a detector that follows faces must miss no frame.
        found = [
            detector.detect(frame)
            for detector, frame in zip(
                self._detectors, (truth, prediction), strict=True
            )
        ]
        face = found[0][0] if found[0] else _NONE
        # Several faces may be rendered; the one meant is where the true one is.
        nearest = min(
            found[1],
            key=lambda other: np.linalg.norm((other - face)[:, :2].mean(0)),
            default=_NONE,
        )
        self._found.append((face, nearest))
        return self._found[-1]

    def __len__(self) -> int:
        return len(self._found)

    @property
    def truth(self) -> np.ndarray:
        """Landmarks float32 [F, 478, 3], the largest true face; NaN where none is."""
        return self._stacked(0)

    @property
    def prediction(self) -> np.ndarray:
        """Landmarks [F, 478, 3], the rendered face nearest to it; NaN where none is."""
        return self._stacked(1)

    def _stacked(self, which: int) -> np.ndarray:
        faces_ = [pair[which] for pair in self._found]
        return np.stack(faces_) if faces_ else np.empty((0, *_NONE.shape), np.float32)


_NONE = np.full((faces.LANDMARK_COUNT, 3), np.nan, np.float32)


def face_rows(
    truth: np.ndarray, prediction: np.ndarray
) -> list[dict[str, float | None]]:
    """LMD of each frame, None where truth or render shows no face.

    Args:
      truth: [F, 478, 3], pixels; NaN where there is no face.
      prediction: [F, 478, 3].

    Returns:
      {"lmd_px", "lmd_face"}, the latter in widths of the true face.
    """
    rows = []
    for one, other in zip(truth, prediction, strict=True):
        distance = mouth_distance(one, other)
        if not np.isfinite(distance):
            rows.append({"lmd_px": None, "lmd_face": None})
            continue
        width = np.linalg.norm(np.subtract(*one[list(_CHEEKS), :2]))
        rows.append({"lmd_px": distance, "lmd_face": distance / float(width)})
    return rows


_CHEEKS = (234, 454)  # the outer ends of the face oval
