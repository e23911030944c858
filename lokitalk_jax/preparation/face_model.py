"""Finds the model file of the face detector."""

import functools
import logging
import os
import pathlib

from lokitalk_jax import user_cache

logger = logging.getLogger(__name__)

NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/"
    "face_landmarker/float16/1/face_landmarker.task"
)


def find(path: str | os.PathLike | None = None) -> pathlib.Path | None:
    """Finds the FaceLandmarker model file.

    Looks at `path`, then in the folder of the environment variable LOKITALK_MODELS,
    then in the user's cache, and downloads the file once if it is in none of them.

    Args:
      path: the model file, where the user gave one.

    Returns:
      The file, or None where there is none and it cannot be downloaded; the detector
      then uses the face mesh inside the mediapipe package.

    Raises:
      ValueError: there is no file at `path`.
    """
    if path is not None:
        path = pathlib.Path(path)
        if not path.is_file():
            raise ValueError(
                f"model={path} does not exist; leave it out to search for {NAME}, or "
                f"download it from {URL}"
            )
        return path
    folder = os.environ.get("LOKITALK_MODELS")
    if folder:
        found = pathlib.Path(folder) / NAME
        if found.is_file():
            return found
    return _download()


@functools.cache
def _download() -> pathlib.Path | None:
    try:
        return user_cache.fetch(URL, NAME, SHA256)
    except (OSError, ValueError) as error:
        logger.warning(
            "Could not download %s (%s). Landmarks come from the face mesh inside the "
            "mediapipe package, which is a little less steady. To use the better "
            "model, save %s yourself and give its path, or set LOKITALK_MODELS to its "
            "folder.",
            NAME,
            type(error).__name__,
            URL,
        )
        return None
