"""Training batches on the devices, from the first stage to the last."""

from collections.abc import Generator, Mapping, Sequence
from types import MappingProxyType

import chex
import jax
import numpy as np

from lokitalk_jax import sharding
from lokitalk_jax.data import frame_sampling, pixel_sampling, references, turns
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.structs import Batch, Config, Signals
from lokitalk_jax.training import stages
from lokitalk_jax.training.stages import TrainingStage
from lokitalk_jax.training.training_set import TrainingSet


class Batches:
    """Batches on the devices, each drawn as its stage says."""

    def __init__(
        self,
        config: Config,
        training_set: TrainingSet,
        in_order: Sequence[TrainingStage],
        signals: Mapping[str, Signals],
        audio_windows: Mapping[str, np.ndarray] = MappingProxyType({}),
        its_turns: turns.Turns | None = None,
    ):
        """Opens a loader for each stage.

        Args:
          config: of the run.
          training_set: the identities.
          in_order: the stages.
          signals: by name, the driving signals of all frames.
          audio_windows: by name [F, W, inputs], see `Loader`.
          its_turns: the identities of each step; None takes all.

        Raises:
          ValueError: the landmark loss has a weight and no landmark is drawn; see
            `Loader` for others.
        """
        data = config.data
        if config.loss.landmarks and data.landmarks < 1:
            raise ValueError(
                f"loss.landmarks={config.loss.landmarks} needs landmarks, and "
                f"data.landmarks={data.landmarks} draws none; raise it, or set the "
                "weight to 0"
            )
        self._stages = tuple(in_order)
        self._mesh = training_set.mesh
        self._count, self._slots = training_set.count, training_set.slots
        if its_turns is not None:
            self._count = its_turns.count
            self._slots = sharding.owned_slots(self._count, self._mesh)

        def loader(stage: TrainingStage) -> Loader:
            drawing = Drawing(
                frames=stage.frames,
                rays=stage.rays,
                importance=pixel_sampling.Importance(**data.importance),
                patch=stage.patch,
                landmarks=data.landmarks if config.loss.landmarks else 0,
                references=references.from_config(config),
                unusual=frame_sampling.Unusual(**data.unusual),
            )
            return Loader(
                training_set.datasets_at(stage.size, config),
                signals,
                drawing,
                seed=config.seed,
                audio_windows=audio_windows,
                turns=its_turns,
                threads=data.threads,
                prefetch=data.prefetch,
            )

        self._loaders = {stage: loader(stage) for stage in in_order}

    def iterate(self, start: int) -> Generator[Batch, None, None]:
        """Yields the batches of steps `start`, `start` + 1, ..."""
        step = start
        while True:
            stage = stages.at(self._stages, step)
            source = self._loaders[stage].iterate(step)
            for batch in source:
                assert_drawn(batch, len(self._slots), stage)
                yield self._put(batch)
                step += 1
                if stages.at(self._stages, step) is not stage:
                    break
            source.close()

    def _put(self, batch: Batch) -> Batch:
        if jax.process_count() == 1:
            return jax.device_put(batch, sharding.batch_shardings(batch, self._mesh))
        return sharding.put_batch(batch, self._slots, self._count, self._mesh)


def assert_drawn(batch: Batch, identities: int, stage: TrainingStage) -> None:
    """Checks a batch of `Loader`, which knows no JAX, before it goes to the devices.

    `model.shapes` checks the parts of an identity, while programs are compiled.

    Raises:
      AssertionError: a leaf does not lead with the identities of this process or is not
        of float32, or the pixels are not those of the stage.
    """
    chex.assert_tree_shape_prefix(batch, (identities,))
    chex.assert_type(jax.tree.leaves(batch), np.float32)
    chex.assert_shape(batch.pixels, (identities, stage.frames, stage.rays, 2))
