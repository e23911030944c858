"""The clips of a run, their driving signals, and their places on the mesh."""

import logging
import pathlib
import zlib
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from lokitalk_jax import demo, sharding
from lokitalk_jax.data import clip_records
from lokitalk_jax.data.dataset import Dataset, read_tracks
from lokitalk_jax.data.folder import IdentityFolder, find_identities
from lokitalk_jax.data.signals import Fitted, fit_apply
from lokitalk_jax.progress import Progress
from lokitalk_jax.structs import Config, Signals

_LOG = logging.getLogger(__name__)

DEMO_ROOT = pathlib.Path("data/demo")


class TrainingSet(NamedTuple):
    """The identities of a run and their places on the mesh.

    Attributes:
      names: of all identities.
      slots: of the axis N that this process loads.
      datasets: of those slots; None where a slot is padding.
      folders: of all identities.
      fitted: parameters of the signals, fitted on all training frames.
      signals: by name, of every frame of every clip, leaves [F, ...].
      train_frames: by name, numbers of the frames to train on.
      mesh: the devices.
      count: N, padding included.
    """

    names: list[str]
    slots: list[int]
    datasets: list[Dataset | None]
    folders: list[IdentityFolder]
    fitted: Fitted
    signals: dict[str, Signals]
    train_frames: dict[str, np.ndarray]
    mesh: jax.sharding.Mesh
    count: int

    @property
    def ids(self) -> tuple[int, ...]:
        """[N], a number for each slot that depends on its identity alone."""
        padding = range(self.count - len(self.names))
        return (*(zlib.crc32(name.encode()) for name in self.names), *padding)

    def datasets_at(self, size: int, config: Config) -> list[Dataset | None]:
        """The datasets of this process with another longest side, pixels."""
        if size == config.data.size:
            return self.datasets
        return [
            data and open_dataset(data.folder, size, config) for data in self.datasets
        ]

    def record(self, data: Dataset) -> clip_records.ClipRecord:
        """The record of one of the clips."""
        return clip_records.make(data, self.fitted, self.signals[data.name])


def find_folders(root: str) -> list[IdentityFolder]:
    """Identity folders below `root`; for "" the demo cast, made where missing."""
    if root:
        return find_identities(root)
    _LOG.info("data.root is empty: training on the demo cast in %s", DEMO_ROOT)
    if jax.process_index() == 0:
        demo.make_cast(DEMO_ROOT)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("demo cast")
    return find_identities(DEMO_ROOT)


def open_dataset(
    folder: IdentityFolder,
    size: int,
    config: Config,
    progress: Progress | None = None,
) -> Dataset:
    """A clip with a longest side of `size` pixels; see `Dataset.open`."""
    cache = pathlib.Path(config.data.cache) if config.data.cache else None
    seconds = config.data.max_seconds or None
    return Dataset.open(folder, size, cache, seconds, progress, config.data.choose)


def load_training_set(
    config: Config,
    lip_basis: np.ndarray | None = None,
    progress: Progress | None = None,
) -> TrainingSet:
    """Opens the clips of this process, and fits the signals of all identities.

    Args:
      config: of the run.
      lip_basis: [D_lip, 120], of a prior; None fits one.
      progress: called for every frame that is resized into a cache.

    Raises:
      ValueError: the folders are missing, broken or too small for `data.size`.
    """
    folders = find_folders(config.data.root)
    mesh = sharding.make_mesh(len(folders), config.mesh.identity)
    count = sharding.padded(len(folders), mesh)
    slots = sharding.owned_slots(count, mesh)

    max_seconds = config.data.max_seconds or None
    _LOG.info("reading %d identities at %d px", len(folders), config.data.size)
    if len(folders) > 1 and not config.model.identity_offset:
        _LOG.warning(
            "%s will share one canonical grid, which blends their faces; give the "
            "folder of one of them, or train all with config=multi_id",
            ", ".join(folder.name for folder in folders),
        )

    # The lip basis is shared, so every process reads the tracks of every identity;
    # images are opened for its own slots only.
    tracks = {
        folder.name: read_tracks(folder, max_seconds, config.data.choose)
        for folder in folders
    }
    train_masks = {name: mask for name, (_, mask) in tracks.items()}
    fitted, tracked = fit_apply(
        {name: of_clip for name, (of_clip, _) in tracks.items()},
        train_masks,
        lip_dim=config.model.lip_dim,
        lip_basis=lip_basis,
    )
    return TrainingSet(
        names=list(tracks),
        slots=slots,
        datasets=[
            open_dataset(folders[i], config.data.size, config, progress)
            if i < len(folders)
            else None
            for i in slots
        ],
        folders=folders,
        fitted=fitted,
        signals=tracked,
        train_frames={n: np.flatnonzero(mask) for n, mask in train_masks.items()},
        mesh=mesh,
        count=count,
    )
