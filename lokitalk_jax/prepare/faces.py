"""Face landmarks: the one detector of the project, and the landmarks' numbers.

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

LANDMARK_COUNT = 478
MAX_FACES = 3

MODEL_NAME = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/"
    "face_landmarker/float16/1/face_landmarker.task"
)

# Contours run clockwise in the image, from the mouth corner or eye corner at the
# image's left. "Left" and "right" are the person's own; the person's right eye is at
# the image's left.
LIPS_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409)
LIPS_OUTER += (291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
LIPS_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415)
LIPS_INNER += (308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
LIPS = LIPS_OUTER + LIPS_INNER
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173)
RIGHT_EYE += (133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (362, 398, 384, 385, 386, 387, 388, 466)
LEFT_EYE += (263, 249, 390, 373, 374, 380, 381, 382)
# Corner, two of the upper lid, corner, two of the lower lid, as in the 68-point face.
RIGHT_EYE_6 = (33, 160, 158, 133, 153, 144)
LEFT_EYE_6 = (362, 385, 387, 263, 373, 380)
FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288)
FACE_OVAL += (397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136)
FACE_OVAL += (172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)

# The mesh points nearest to the 68 points of the iBUG annotation: jaw 0-16,
# brows 17-26, nose 27-35, eyes 36-47, mouth 48-67.
MESH_TO_68 = (162, 234, 93, 58, 172, 136, 149, 148, 152)
MESH_TO_68 += (377, 378, 365, 397, 288, 323, 454, 389)
MESH_TO_68 += (71, 63, 105, 66, 107, 336, 296, 334, 293, 301)
MESH_TO_68 += (168, 197, 5, 4, 75, 97, 2, 326, 305)
MESH_TO_68 += RIGHT_EYE_6 + LEFT_EYE_6
MESH_TO_68 += (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
MESH_TO_68 += (78, 82, 13, 312, 308, 317, 14, 87)

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
