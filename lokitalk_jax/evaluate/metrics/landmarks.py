"""The faces of true and rendered frames, found once for all scores that need them."""

from typing import Protocol

import numpy as np

from lokitalk_jax.face_mesh import LANDMARK_COUNT
from lokitalk_jax.prepare.faces import Face


class Detector(Protocol):
    """What finds faces; `faces.FaceDetector` does."""

    def faces(self, rgb: np.ndarray) -> list[Face]:
        """The faces in uint8 RGB [H, W, 3], the largest first."""


_NONE = Face(np.full((LANDMARK_COUNT, 3), np.nan, np.float32))


class FacePairs:
    """Faces gathered in order: 12 KB a frame."""

    def __init__(self, truth_detector: Detector, prediction_detector: Detector):
        """Takes the detectors.

        Args:
          truth_detector: sees the true frames, in order.
          prediction_detector: sees the rendered ones. Another object of the same
            kind, since a detector may follow faces from call to call and would carry
            them over from the truth.
        """
        self._detectors = truth_detector, prediction_detector
        self._found: list[tuple[Face, Face]] = []

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Adds a frame.

        Args:
          truth: uint8 RGB [H, W, 3].
          prediction: uint8 RGB [H, W, 3].

        Returns:
          the true face's landmarks, [478, 3], NaN where there is none.
        """
        # Both always look, as a detector that follows faces must miss no frame.
        found = [
            detector.faces(frame)
            for detector, frame in zip(
                self._detectors, (truth, prediction), strict=True
            )
        ]
        face = found[0][0] if found[0] else _NONE
        # Several faces may be rendered; the one meant is where the true one is.
        nearest = min(
            found[1],
            key=lambda other: np.linalg.norm(
                (other.landmarks - face.landmarks)[:, :2].mean(0)
            ),
            default=_NONE,
        )
        self._found.append((face, nearest))
        return face.landmarks

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

    def blendshapes(self) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | None:
        """Scores [F, 52] of truth and prediction, NaN where unknown, and their names.

        Returns:
          None where no face has any.
        """
        known = [f.blendshapes for pair in self._found for f in pair if f.blendshapes]
        if not known:
            return None
        names = tuple(known[0])
        unknown = dict.fromkeys(names, np.nan)
        sides = (
            np.array(
                [
                    list((pair[k].blendshapes or unknown).values())
                    for pair in self._found
                ]
            )
            for k in range(2)
        )
        return *sides, names

    def _stacked(self, which: int) -> np.ndarray:
        found = [pair[which].landmarks for pair in self._found]
        return np.stack(found) if found else np.empty((0, LANDMARK_COUNT, 3))
