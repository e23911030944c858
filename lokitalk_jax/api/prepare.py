"""A video of a person becomes an identity folder."""

import os

from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.preparation import pipeline
from lokitalk_jax.preparation.options import Options as PrepareOptions
from lokitalk_jax.progress import Progress


def prepare(
    video: str | os.PathLike,
    out: str | os.PathLike,
    options: PrepareOptions | None = None,
    *,
    model: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> IdentityFolder:
    """Makes an identity folder of a video.

    Called again after it was interrupted, it continues; after it has finished, it does
    nothing.

    Args:
      video: one person, one take.
      out: the folder, new or begun by the same call.
      options: size, crop, stretch and format.
      model: a FaceLandmarker .task file, see `preparation.face_model.find`.
      workers: threads of the segmentation, by default one for each core.
      progress: see `lokitalk_jax.progress`.

    Raises:
      ValueError: the video cannot be used, or `out` holds something else.
      OSError: a file could not be written; the same call continues later.
    """
    chosen = options or PrepareOptions()
    face_model = None if model is None else os.fspath(model)
    pipeline.prepare(
        os.fspath(video), os.fspath(out), chosen, face_model, workers, progress
    )
    return IdentityFolder(out)
