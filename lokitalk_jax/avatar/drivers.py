"""Clips that drive an avatar: those of its run, and any identity folder."""

import os
import pathlib
from typing import NamedTuple

from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records, signals
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset, read_tracks
from lokitalk_jax.data.folder import IdentityFolder


def load_driver(run: OpenRun, name: str) -> ClipRecord:
    """A clip, with its lip signal in the lip basis of a run.

    Args:
      run: the run.
      name: an identity of the run, or the path of an identity folder.

    Raises:
      ValueError: it is neither.
    """
    return load_speaker(run, name).record


class Speaker(NamedTuple):
    """An identity that speaks: its clip, and the signals that it was fitted with."""

    record: ClipRecord
    fitted: signals.Fitted


def speaker_name(run: OpenRun, record: ClipRecord) -> str:
    """The name of an identity for `load_speaker`."""
    return record.name if record.name in run.identities else str(record.source)


def load_speaker(run: OpenRun, name: str) -> Speaker:
    """An identity of a run, or one that the run was not trained on.

    Args:
      run: the run.
      name: an identity of the run, or the path of an identity folder.

    Raises:
      ValueError: it is neither.
    """
    if name in run.identities:
        return Speaker(run.record(name), run.fitted)
    if not pathlib.Path(name).is_dir():
        raise ValueError(
            f"{name!r} is neither an identity of {run.workdir} "
            f"({', '.join(run.identities)}) nor an identity folder, which "
            "is prepared from a video"
        )
    return open_clip(run, name)[0]


def open_clip(run: OpenRun, folder: str | os.PathLike) -> tuple[Speaker, Dataset]:
    """A clip that the run need not have been trained on, at the size of the run.

    Args:
      run: gives the lip basis and the size.
      folder: the identity folder.

    Returns:
      its identity, with signals fitted on its own training frames; and its frames.

    Raises:
      ValueError: this is not an identity folder, or it does not fit the run.
    """
    opened = IdentityFolder(pathlib.Path(folder))
    cache = run.config.data.cache
    data = Dataset.open(
        opened, run.config.data.size, pathlib.Path(cache) if cache else None
    )
    tracks, train = read_tracks(opened)
    fitted, tracked = signals.fit_apply(
        {data.name: tracks}, {data.name: train}, lip_basis=run.lip_basis
    )
    return Speaker(clip_records.make(data, fitted, tracked[data.name]), fitted), data
