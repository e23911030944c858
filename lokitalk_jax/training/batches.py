"""Training batches on the devices, from the first phase to the last."""

from collections.abc import Iterator, Mapping

import jax
import ml_collections
import numpy as np

from lokitalk_jax import sharding
from lokitalk_jax.data import pixel_sampling, references
from lokitalk_jax.data.loader import Loader
from lokitalk_jax.structs import Batch
from lokitalk_jax.training.cast import Cast


class Batches:
    """Batches on the devices, rays first and patches from the perceptual phase on."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        cast: Cast,
        lips: Mapping[str, np.ndarray],
        heard: Mapping[str, np.ndarray],
    ):
        """Opens the loaders of both phases; for `lips` and `heard` see `Loader`.

        Raises:
          ValueError: landmarks are weighted and none is drawn; see `Loader` too.
        """
        data, train = config.data, config.train
        if config.loss.landmarks and data.landmarks < 1:
            raise ValueError(
                f"loss.landmarks is {config.loss.landmarks} and data.landmarks "
                f"{data.landmarks}; draw some, or set the weight to 0"
            )
        self._cast = cast
        self.patches_from = round(train.steps * (1 - train.perceptual))

        def loader(frames_per_step: int, rays: int, patch: int | None) -> Loader:
            return Loader(
                cast.datasets,
                cast.fitted,
                seed=config.seed,
                frames_per_step=frames_per_step,
                rays_per_frame=rays,
                importance=pixel_sampling.Importance(**data.importance),
                patch=patch,
                landmarks=data.landmarks if config.loss.landmarks else 0,
                references=references.from_config(config),
                lips=lips,
                heard=heard,
                threads=data.threads,
                prefetch=data.prefetch,
            )

        self._rays = loader(data.frames_per_step, data.rays_per_frame, None)
        self._patches = None
        if train.perceptual:
            # About as many rays a step as before.
            area = train.patch**2
            count = max(1, data.frames_per_step * data.rays_per_frame // area)
            self._patches = loader(count, area, train.patch)

    def iterate(self, start: int) -> Iterator[Batch]:
        """Yields the batches of steps `start`, `start` + 1, ..."""
        if start < self.patches_from or self._patches is None:
            source = self._rays.iterate(start)
            for step, batch in zip(range(start, self.patches_from), source):  # noqa: B905
                yield self._put(batch)
                start = step + 1
            source.close()
        for batch in self._patches.iterate(start):
            yield self._put(batch)

    def _put(self, batch: Batch) -> Batch:
        cast = self._cast
        if jax.process_count() == 1:
            return jax.device_put(batch, sharding.batch_shardings(batch, cast.mesh))
        return sharding.put_batch(batch, cast.slots, cast.count, cast.mesh)
