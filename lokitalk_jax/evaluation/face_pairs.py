"""Faces of true and rendered frames, detected once for all landmark scores."""

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from lokitalk_jax.evaluation.metrics.expression import Blendshapes
from lokitalk_jax.face_mesh import LANDMARK_COUNT
from lokitalk_jax.preparation import face_model, faces
from lokitalk_jax.preparation.faces import Face


class Detector(Protocol):
    """A face detector such as `faces.FaceDetector`."""

    def faces(self, rgb: np.ndarray) -> list[Face]:
        """Faces in uint8 RGB [H, W, 3], the largest first."""
        ...


# A detector may track faces from frame to frame, so truth and prediction need one each.
Detectors = tuple[Detector, Detector]

_NO_FACE = Face(np.full((LANDMARK_COUNT, 3), np.nan, np.float32))


@contextlib.contextmanager
def open_detectors(
    model: str | os.PathLike | None = None,
) -> Iterator[Detectors]:
    """Opens detectors for truth and prediction.

    Args:
      model: a FaceLandmarker file; None searches for it, see `face_model.find`.

    Raises:
      ValueError: there is no such file.
    """
    path = face_model.find(model)
    with (
        faces.FaceDetector(path, blendshapes=True) as first,
        faces.FaceDetector(path, blendshapes=True) as second,
    ):
        yield first, second


class FacePairs:
    """The faces of a clip's frames, added in order."""

    def __init__(self, detectors: Detectors):
        """Starts without frames; `detectors` serve this clip only."""
        self._detectors = detectors
        self._found: list[tuple[Face, Face]] = []

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Adds a frame.

        Args:
          truth: uint8 RGB [H, W, 3].
          prediction: uint8 RGB [H, W, 3].

        Returns:
          the true face's landmarks [478, 3]; NaN if there is none.
        """
        # Both detectors see every frame, as one that tracks faces must not miss any.
        found = [
            detector.faces(frame)
            for detector, frame in zip(
                self._detectors, (truth, prediction), strict=True
            )
        ]
        face = found[0][0] if found[0] else _NO_FACE
        # Of several rendered faces, the one nearest to the true face counts.
        nearest = min(
            found[1],
            key=lambda other: np.linalg.norm(
                (other.landmarks - face.landmarks)[:, :2].mean(0)
            ),
            default=_NO_FACE,
        )
        self._found.append((face, nearest))
        return face.landmarks

    @property
    def truth(self) -> np.ndarray:
        """Landmarks [F, 478, 3] of the largest true face; NaN if there is none."""
        return self._landmarks(0)

    @property
    def prediction(self) -> np.ndarray:
        """Landmarks [F, 478, 3] of the rendered face nearest to the true one."""
        return self._landmarks(1)

    def blendshapes(self) -> Blendshapes | None:
        """Blendshapes of both faces; None if the detectors give none."""
        known = [f.blendshapes for pair in self._found for f in pair if f.blendshapes]
        if not known:
            return None
        names = tuple(known[0])
        unknown = dict.fromkeys(names, np.nan)
        truth, prediction = (
            np.array([list((one.blendshapes or unknown).values()) for one in side])
            for side in zip(*self._found, strict=True)
        )
        return Blendshapes(truth, prediction, names)

    def _landmarks(self, side: int) -> np.ndarray:
        found = [pair[side].landmarks for pair in self._found]
        return np.stack(found) if found else np.empty((0, LANDMARK_COUNT, 3))
