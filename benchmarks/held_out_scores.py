"""Scores of the identities of a run on some of their held-out frames."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.data import folder
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.references import spread
from lokitalk_jax.evaluation import face_pairs, held_out, identity_scores
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.evaluation.metrics import psnr as metric
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS

_COUNT = 12  # frames of each clip


def open_clip(run: OpenRun, record: ClipRecord) -> Dataset:
    """The clip of a record at the size of the run."""
    return Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)


def chosen(record: ClipRecord) -> np.ndarray:
    """Numbers of some held-out frames, evenly spread."""
    return spread(record.test_frames, _COUNT)


def psnr(avatar: OpenAvatar, data: Dataset) -> dict[str, float]:
    """PSNR of those frames, and of head and lips in them, dB, by region.

    Takes a fifth of the time of `every`.
    """
    frames = chosen(avatar.record)
    pictures = np.stack([picture for *_, picture in rendered_frames(avatar, frames)])
    truth = np.stack([data.frames[index] for index in frames]) / np.float32(255)
    masks = np.stack([data.region_masks(index) for index in frames])
    found = {"frame": masked_psnr(truth, pictures, np.ones(truth.shape[:-1]))}
    for region in ("head", "lip"):
        mask = masks[..., REGIONS.index(region)]
        found[region] = masked_psnr(truth, pictures, mask)
    return found


def masked_psnr(truth: np.ndarray, found: np.ndarray, mask: np.ndarray) -> float:
    """PSNR of frames [..., H, W, 3] in [0, 1] within a mask [..., H, W], dB."""
    error = metric.squared_error(truth, found)
    return metric.from_mse(float(np.average(error, weights=mask)))


def every(
    avatar: OpenAvatar,
    data: Dataset,
    see: Callable[[int, Rendered], None] = lambda index, maps: None,
) -> dict:
    """All scores of those frames, see `ClipScores.result`.

    Args:
      avatar: the avatar.
      data: the true clip.
      see: called with the number and the maps of each frame.
    """
    rendered = rendered_frames(avatar, chosen(avatar.record))
    with face_pairs.open_detectors() as detectors:
        scores = ClipScores(detectors)
        for pair in held_out.pairs(rendered, data):
            identity_scores.add_pair(scores, data, pair)
            see(pair.index, pair.maps)
        return scores.result()


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
