"""The clip that a run was trained on: found again, and told from others."""

import pathlib

import numpy as np

from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data import folder
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset


def find(run: Run, name: str, data_root: pathlib.Path | None) -> Dataset:
    """The clip that an identity was trained on, at the size of training.

    Args:
      run: the run.
      name: of its identity.
      data_root: where the identity folders are now; None is where they were trained.

    Raises:
      ValueError: the frames that the identity was trained on are gone or are others,
        or none was held out.
    """
    record = run.record(name)
    if data_root is None:
        remedy = "name the folder of its identity folder with --data"
        found = _open(record.source, remedy)
    else:
        remedy = "name another folder with --data"
        near = {one.name: one for one in folder.find_identities(data_root)}
        if name not in near:
            raise ValueError(
                f"{data_root} holds no identity {name!r}, only {', '.join(near)}; "
                f"{remedy}"
            )
        found = near[name]
    cache = run.config.data.cache
    data = Dataset.open(
        found, run.config.data.size, pathlib.Path(cache) if cache else None
    )
    if not _same_clip(data, record):
        raise ValueError(
            f"{found.path} is not the clip that {name!r} was trained on, or was "
            f"prepared anew since: its frames or poses differ; {remedy}, or train again"
        )
    if not len(record.test_frames):
        raise ValueError(
            f"no frame with a face is held out of the clip of {name!r}, which has "
            f"{record.frame_count} frames; there is nothing to score"
        )
    return data


def _open(path: pathlib.Path, remedy: str) -> folder.IdentityFolder:
    try:
        return folder.IdentityFolder(path)
    except ValueError as error:
        raise ValueError(
            f"the frames to score against are not there: {error}; or {remedy}"
        ) from error


def _same_clip(data: Dataset, record: ClipRecord) -> bool:
    return data.camera.shape == record.camera.shape and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in (
            (data.tracks.head_to_camera, record.head_to_camera),
            (data.test_frames, record.test_frames),
        )
    )
