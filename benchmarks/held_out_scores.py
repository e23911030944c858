"""Scores of the identities of a run on some of their held-out frames."""

import pathlib
from collections.abc import Sequence

import numpy as np

from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.data import folder
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.references import spread
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.evaluation.metrics.psnr import masked_psnr
from lokitalk_jax.structs import REGIONS

_COUNT = 12  # frames of each clip


def open_clip(run: OpenRun, record: ClipRecord) -> Dataset:
    """The clip of a record at the size of the run."""
    return Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)


def chosen(record: ClipRecord) -> np.ndarray:
    """Numbers of some held-out frames, evenly spread."""
    return spread(record.test_frames, _COUNT)


def psnr(avatar: OpenAvatar, data: Dataset) -> dict[str, float]:
    """PSNR of those frames and of the head in them, {"frame", "head"}, dB.

    Takes a fifth of the time of all scores (`evaluation.score`).
    """
    frames, head = chosen(avatar.record), REGIONS.index("head")
    pictures = np.stack([picture for *_, picture in rendered_frames(avatar, frames)])
    truth = np.stack([data.frames[index] for index in frames]) / np.float32(255)
    masks = np.stack([data.region_masks(index)[..., head] for index in frames])
    return {
        "frame": masked_psnr(truth, pictures, np.ones_like(masks)),
        "head": masked_psnr(truth, pictures, masks),
    }


def named_runs(texts: Sequence[str]) -> dict[str, OpenRun]:
    """Runs by name, from texts NAME=RUN.

    Raises:
      ValueError: a text has no name, or there is no such run.
    """
    found = {}
    for text in texts:
        name, _, workdir = text.partition("=")
        if not (name and workdir):
            raise ValueError(f"{text!r} is not NAME=RUN, such as demo=runs/demo")
        found[name] = OpenRun(pathlib.Path(workdir))
    return found
