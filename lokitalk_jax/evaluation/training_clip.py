"""Finds the clip that an identity of a run was trained on."""

import os
import pathlib

import numpy as np

from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import folder
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset


def find(run: OpenRun, name: str, data: str | os.PathLike | None = None) -> Dataset:
    """Opens the clip that an identity was trained on, at the size of training.

    Args:
      run: the run.
      name: one of its identities.
      data: folder of the identity folders, if they have moved since training.

    Raises:
      ValueError: the clip is missing or has changed since training, or no frame was
        held out.
    """
    record = run.record(name)
    if data is None:
        remedy = "give data=FOLDER, the folder that its identity folder is in"
        found = _open(record.source, remedy)
    else:
        remedy = "give another data=FOLDER"
        near = {one.name: one for one in folder.find_identities(pathlib.Path(data))}
        if name not in near:
            raise ValueError(
                f"{data} holds no identity {name!r}, only {', '.join(near)}; {remedy}"
            )
        found = near[name]
    cache = run.config.data.cache
    clip = Dataset.open(
        found, run.config.data.size, pathlib.Path(cache) if cache else None
    )
    if not _same_clip(clip, record):
        raise ValueError(
            f"{found.path} is not the clip that {name!r} was trained on, or it was "
            f"prepared again since: its frames or poses differ; {remedy}, or train "
            "again"
        )
    if not len(record.test_frames):
        raise ValueError(
            f"the clip of {name!r} has {record.frame_count} frames and no held-out "
            "frame with a face; train on a longer clip"
        )
    return clip


def _open(path: pathlib.Path, remedy: str) -> folder.IdentityFolder:
    try:
        return folder.IdentityFolder(path)
    except ValueError as error:
        raise ValueError(
            f"the frames to score against are missing: {error}; or {remedy}"
        ) from error


def _same_clip(clip: Dataset, record: ClipRecord) -> bool:
    return clip.camera.shape == record.camera.shape and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in (
            (clip.tracks.head_to_camera, record.head_to_camera),
            (clip.test_frames, record.test_frames),
        )
    )
