"""The face detector.

A face is float32 [478, 3]: 468 points of MediaPipe's face mesh and 5 of each iris.
x and y are pixels of the image (see `structs` for pixel centres), depth is relative, in
the same pixels, smaller nearer to the viewer.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import cv2
import numpy as np

from lokitalk_jax.preparation import face_model, mediapipe_quirks

MAX_FACES = 3

# The detector misses small faces: frames smaller than this are enlarged for it.
_DETECTION_SIZE = 256

# From an image, RGB uint8 [H, W, 3], to the landmarks of its faces, largest first.
Detect = Callable[[np.ndarray], list[np.ndarray]]


class Face(NamedTuple):
    """A detected face.

    Attributes:
      landmarks: float32 [478, 3], see the module.
      blendshapes: scores in [0, 1] by name; None where they were not requested, or the
        detector has none.
    """

    landmarks: np.ndarray
    blendshapes: dict[str, float] | None = None


class FaceDetector:
    """Finds the landmarks of faces; a context manager, for one thread.

    With a model file each image is searched independently (FaceLandmarker in IMAGE
    mode: its VIDEO mode with one face smooths, and lags by up to a frame). Without a
    model file, MediaPipe's face mesh follows the faces from call to call, so images
    must be the frames of one clip in order.
    """

    def __init__(
        self, model_path: pathlib.Path | None = None, blendshapes: bool = False
    ):
        """Loads the model.

        Args:
          model_path: a FaceLandmarker `.task` file, or None for the face mesh.
          blendshapes: also finds expressions, which the face mesh cannot.

        Raises:
          ValueError: the file is missing or not a FaceLandmarker model.
        """
        self.model_path = model_path and pathlib.Path(model_path)
        with mediapipe_quirks.quiet(), mediapipe_quirks.old_protobuf():
            if self.model_path:
                self._find = self._open_landmarker(self.model_path, blendshapes)
            else:
                self._find = self._open_mesh()
            # The native code writes a last message at its first image.
            self._find(np.zeros((_DETECTION_SIZE, _DETECTION_SIZE, 3), np.uint8))

    def _open_landmarker(self, path: pathlib.Path, blendshapes: bool):
        from mediapipe import Image, ImageFormat
        from mediapipe.tasks.python import BaseOptions, vision

        if not path.is_file():
            raise ValueError(f"model={path} does not exist; download {face_model.URL}")
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=MAX_FACES,
            output_face_blendshapes=blendshapes,
        )
        try:
            landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a FaceLandmarker model; download {face_model.URL}"
            ) from error
        self.close = landmarker.close

        def find(rgb: np.ndarray) -> list:
            found = landmarker.detect(Image(image_format=ImageFormat.SRGB, data=rgb))
            scores = [
                {one.category_name: one.score for one in face}
                for face in found.face_blendshapes or []
            ]
            scores = scores or [None] * len(found.face_landmarks)
            return list(zip(found.face_landmarks, scores, strict=True))

        return find

    def _open_mesh(self):
        from mediapipe.python.solutions.face_mesh import FaceMesh

        mesh = FaceMesh(max_num_faces=MAX_FACES, refine_landmarks=True)
        self.close = mesh.close

        def find(rgb: np.ndarray) -> list:
            found: Any = mesh.process(rgb)
            return [(face.landmark, None) for face in found.multi_face_landmarks or []]

        return find

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def detect(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Landmarks [478, 3] of `faces` in uint8 RGB [H, W, 3], without blendshapes."""
        return [face.landmarks for face in self.faces(rgb)]

    def faces(self, rgb: np.ndarray) -> list[Face]:
        """Finds up to three faces.

        Args:
          rgb: uint8 [H, W, 3].

        Returns:
          The faces, largest first.

        Raises:
          ValueError: `rgb` is not an RGB image of bytes.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(
                f"the face detector got {rgb.dtype} {rgb.shape}; it takes uint8 "
                "[H, W, 3] in the order RGB"
            )
        height, width = rgb.shape[:2]
        enlarge = max(1, _DETECTION_SIZE / min(height, width))
        if enlarge > 1:
            size = round(width * enlarge), round(height * enlarge)
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
        # Depth has the unit of x: widths of the image.
        scale = np.array([width, height, width], np.float32)
        with mediapipe_quirks.old_protobuf():
            found = self._find(np.ascontiguousarray(rgb))
        faces = [
            Face(
                np.array([[p.x, p.y, p.z] for p in points], np.float32) * scale, scores
            )
            for points, scores in found
        ]
        return sorted(
            faces, key=lambda face: -np.ptp(face.landmarks[:, :2], axis=0).prod()
        )
