"""The face detector.

A face is float32 [478, 3]: 468 points of MediaPipe's face mesh and 5 of each iris.
x and y are pixels of the image that went in (see `structs` for the pixel centres),
depth is relative, in the same pixels, smaller nearer to the viewer.
"""

import contextlib
import functools
import logging
import os
import pathlib
import threading
import warnings
from typing import NamedTuple

import cv2
import numpy as np

logger = logging.getLogger(__name__)

MAX_FACES = 3

MODEL_NAME = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/"
    "face_landmarker/float16/1/face_landmarker.task"
)

# The detector misses small faces: frames smaller than this are enlarged for it.
_DETECTION_SIZE = 256


class Face(NamedTuple):
    """A face that was found.

    Attributes:
      landmarks: float32 [478, 3], see the module.
      blendshapes: scores in [0, 1] by name; None where they were not asked for, or the
        detector has none.
    """

    landmarks: np.ndarray
    blendshapes: dict[str, float] | None = None


def find_model(path: str | None = None) -> pathlib.Path | None:
    """Finds the FaceLandmarker model file.

    Looks at `path`, then in the folder that the environment variable
    LOKITALK_MODELS names, then in the cache, and downloads it once if it is nowhere.

    Args:
      path: the model file, where the user named one.

    Returns:
      The file, or None where there is none and it cannot be downloaded; the
      detector then uses the face mesh inside the mediapipe package.

    Raises:
      ValueError: `path` was given and leads to no file.
    """
    if path:
        if not pathlib.Path(path).is_file():
            raise ValueError(
                f"there is no face model at {path}; leave the path empty to search "
                f"for {MODEL_NAME}, or download it from {MODEL_URL}"
            )
        return pathlib.Path(path)
    folder = os.environ.get("LOKITALK_MODELS")
    if folder:
        found = pathlib.Path(folder) / MODEL_NAME
        if found.is_file():
            return found
    return _download_model()


@functools.cache
def _download_model() -> pathlib.Path | None:
    import pooch

    try:
        return pathlib.Path(
            pooch.retrieve(
                MODEL_URL,
                known_hash=f"sha256:{MODEL_SHA256}",
                fname=MODEL_NAME,
                path=pooch.os_cache("lokitalk_jax"),
                downloader=pooch.HTTPDownloader(timeout=(3, 30)),
            )
        )
    except (OSError, ValueError) as error:  # no network; a page that is not the file
        logger.warning(
            "Could not download %s (%s). Landmarks come from the face mesh inside the "
            "mediapipe package, which is a little less steady. To use the better "
            "model, save %s yourself and give its path, or name its folder in "
            "LOKITALK_MODELS.",
            MODEL_NAME,
            type(error).__name__,
            MODEL_URL,
        )
        return None


class FaceDetector:
    """Finds the landmarks of faces; a context manager, to be used by one thread.

    With a model file each image is looked at by itself (FaceLandmarker in IMAGE
    mode: its VIDEO mode with one face smooths, and lags by up to a frame). Without
    one, MediaPipe's face mesh follows the faces from call to call: hand it one
    clip, in order.
    """

    def __init__(
        self, model_path: pathlib.Path | None = None, blendshapes: bool = False
    ):
        """Loads the model.

        Args:
          model_path: a FaceLandmarker `.task` file, or None for the face mesh.
          blendshapes: finds expressions too, which the face mesh cannot.

        Raises:
          ValueError: the file is missing or not a FaceLandmarker model.
        """
        self.model_path = model_path and pathlib.Path(model_path)
        with quiet(), old_protobuf():
            found = self._landmarker(blendshapes) if model_path else self._mesh()
            self._find = found
            # The native code speaks once more at its first image.
            self._find(np.zeros((_DETECTION_SIZE, _DETECTION_SIZE, 3), np.uint8))

    def _landmarker(self, blendshapes: bool):
        from mediapipe import Image, ImageFormat
        from mediapipe.tasks.python import BaseOptions, vision

        if not self.model_path.is_file():
            raise ValueError(f"there is no face model at {self.model_path}")
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self.model_path.read_bytes()),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=MAX_FACES,
            output_face_blendshapes=blendshapes,
        )
        try:
            landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.model_path} is not a FaceLandmarker model; download {MODEL_URL}"
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

    def _mesh(self):
        from mediapipe.python.solutions.face_mesh import FaceMesh

        mesh = FaceMesh(max_num_faces=MAX_FACES, refine_landmarks=True)
        self.close = mesh.close
        return lambda rgb: [
            (face.landmark, None)
            for face in mesh.process(rgb).multi_face_landmarks or []
        ]

    def __enter__(self) -> "FaceDetector":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def detect(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Landmarks alone of `faces`."""
        return [face.landmarks for face in self.faces(rgb)]

    def faces(self, rgb: np.ndarray) -> list[Face]:
        """Finds up to three faces.

        Args:
          rgb: uint8 [H, W, 3].

        Returns:
          the faces, the largest first.

        Raises:
          ValueError: `rgb` is not an RGB image of bytes.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(
                f"the face detector was given {rgb.dtype} {rgb.shape}; "
                "give uint8 [H, W, 3] in the order RGB"
            )
        height, width = rgb.shape[:2]
        enlarge = max(1, _DETECTION_SIZE / min(height, width))
        if enlarge > 1:
            size = round(width * enlarge), round(height * enlarge)
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
        # Depth is in the same unit as x: widths of the image.
        scale = np.float32([width, height, width])
        with old_protobuf():
            found = self._find(np.ascontiguousarray(rgb))
        faces = [
            Face(np.float32([[p.x, p.y, p.z] for p in points]) * scale, scores)
            for points, scores in found
        ]
        return sorted(
            faces, key=lambda face: -np.ptp(face.landmarks[:, :2], axis=0).prod()
        )


@contextlib.contextmanager
def old_protobuf():
    """Silences protobuf's complaint that MediaPipe calls it by old names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SymbolDatabase", UserWarning)
        yield


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def quiet():
    """Keeps what native code writes to the error stream from the terminal.

    MediaPipe reports its set-up there, past Python's logging; Python's own
    exceptions pass through.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    with _stderr_lock, open(os.devnull, "w") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
