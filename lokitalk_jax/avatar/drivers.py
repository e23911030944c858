"""Clips that drive an avatar: those of its run, and any identity folder."""

import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records, signals
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset, read_tracks
from lokitalk_jax.data.folder import IdentityFolder


class Speaker(NamedTuple):
    """An identity that speaks.

    Attributes:
      record: of its clip.
      fitted: the signals that its lips were fitted with.
    """

    record: ClipRecord
    fitted: signals.Fitted


def speaker_name(run: OpenRun, record: ClipRecord) -> str:
    """The name of an identity for `load_speaker`."""
    return record.name if record.name in run.identities else str(record.source)


def load_speaker(
    run: OpenRun, name: str, field: str = "identity", words: Iterable[str] = ()
) -> Speaker:
    """An identity of a run, or one that the run was not trained on.

    Args:
      run: the run.
      name: an identity of the run, or the path of an identity folder.
      field: the parameter that has this value, for errors.
      words: its other values, for errors.

    Raises:
      ValueError: it is neither.
    """
    if name in run.identities:
        return Speaker(run.record(name), run.fitted)
    if not pathlib.Path(name).is_dir():
        others = "".join(f"{word}, " for word in words)
        raise ValueError(
            f"{field}={name} is neither {others}an identity of {run.workdir} "
            f"({', '.join(run.identities)}) nor an identity folder; prepare its "
            "video first"
        )
    try:
        return open_clip(run, name)[0]
    except ValueError as error:
        raise ValueError(f"{field}={name}: {error}") from error


def open_clip(run: OpenRun, folder: str | os.PathLike) -> tuple[Speaker, Dataset]:
    """A clip that the run need not have been trained on, at the size of the run.

    It is opened once for a run; further calls return the same.

    Args:
      run: gives the lip basis and the size.
      folder: the identity folder.

    Returns:
      its identity, with signals fitted on its own training frames; and its frames.

    Raises:
      ValueError: this is not an identity folder, or it does not fit the run.
    """
    path = pathlib.Path(folder).resolve()
    if path in run.opened_clips:
        return run.opened_clips[path]
    opened = IdentityFolder(folder)
    cache = run.config.data.cache
    data = Dataset.open(
        opened, run.config.data.size, pathlib.Path(cache) if cache else None
    )
    tracks, train = read_tracks(opened)
    fitted, tracked = signals.fit_apply(
        {data.name: tracks}, {data.name: train}, lip_basis=run.lip_basis
    )
    speaker = Speaker(clip_records.make(data, fitted, tracked[data.name]), fitted)
    run.opened_clips[path] = speaker, data
    return speaker, data
