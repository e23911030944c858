"""Training batches on the devices, of both phases of training."""

import contextlib
import itertools
from collections.abc import Generator, Mapping
from types import MappingProxyType

import jax
import numpy as np

from lokitalk_jax import sharding
from lokitalk_jax.data import pixel_sampling, references
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.structs import Batch, Config, Signals
from lokitalk_jax.training.training_set import TrainingSet


class Batches:
    """Batches on the devices: single rays, then patches in the perceptual phase.

    Attributes:
      patches_from: the step at which the perceptual phase starts.
    """

    def __init__(
        self,
        config: Config,
        training_set: TrainingSet,
        signals: Mapping[str, Signals],
        audio_windows: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        """Opens the loaders of both phases.

        Args:
          config: of the run.
          training_set: the identities.
          signals: by name, the driving signals of all frames.
          audio_windows: see `Loader`.

        Raises:
          ValueError: the landmark loss has a weight and no landmark is drawn; see
            `Loader` for others.
        """
        data, train = config.data, config.train
        if config.loss.landmarks and data.landmarks < 1:
            raise ValueError(
                f"loss.landmarks is {config.loss.landmarks} and data.landmarks "
                f"{data.landmarks}; raise the latter, or set the weight to 0"
            )
        self._training_set = training_set
        self.patches_from = round(train.steps * (1 - train.perceptual))

        def loader(drawing: Drawing) -> Loader:
            return Loader(
                training_set.datasets,
                signals,
                drawing,
                seed=config.seed,
                audio_windows=audio_windows,
                threads=data.threads,
                prefetch=data.prefetch,
            )

        drawing = Drawing(
            frames=data.frames_per_step,
            rays=data.rays_per_frame,
            importance=pixel_sampling.Importance(**data.importance),
            landmarks=data.landmarks if config.loss.landmarks else 0,
            references=references.from_config(config),
        )
        self._rays = loader(drawing)
        self._patches = None
        if train.perceptual:
            # About as many rays per step as before.
            area = train.patch**2
            count = max(1, drawing.frames * drawing.rays // area)
            patches = drawing._replace(frames=count, rays=area, patch=train.patch)
            self._patches = loader(patches)

    def iterate(self, start: int) -> Generator[Batch, None, None]:
        """Yields the batches of steps `start`, `start` + 1, ..."""
        if start < self.patches_from:
            with contextlib.closing(self._rays.iterate(start)) as source:
                for batch in itertools.islice(source, self.patches_from - start):
                    yield self._put(batch)
        if self._patches is not None:
            for batch in self._patches.iterate(max(start, self.patches_from)):
                yield self._put(batch)

    def _put(self, batch: Batch) -> Batch:
        training_set = self._training_set
        if jax.process_count() == 1:
            return jax.device_put(
                batch, sharding.batch_shardings(batch, training_set.mesh)
            )
        return sharding.put_batch(
            batch, training_set.slots, training_set.count, training_set.mesh
        )
