"""The compiled steps of a run, one program for each stage of training."""

from collections.abc import Sequence

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lokitalk_jax import lpips, process, sharding
from lokitalk_jax.structs import Batch, TrainState
from lokitalk_jax.training import stages, train_step
from lokitalk_jax.training.stages import TrainingStage
from lokitalk_jax.training.train_step import StepSpec


class Programs:
    """Advances the state of a run, by the program of the stage that a step is in."""

    def __init__(
        self,
        spec: StepSpec,
        in_order: Sequence[TrainingStage],
        shardings: TrainState,
        mesh: Mesh,
        density_every: int,
    ):
        """Describes the programs; the first step of a stage compiles its own.

        Args:
          spec: of a step that reads all levels of the grid.
          in_order: the stages.
          shardings: of the state.
          mesh: the devices.
          density_every: steps between visits to the density grid.
        """
        self._stages, self._turns = in_order, spec.turns
        self._density_every = density_every
        self._compiled = set()
        by_identity = sharding.by_identity(mesh)
        self._programs = {
            stage: train_step.compile_steps(
                spec._replace(model=spec.model.reading_levels(stage.levels)),
                shardings,
                by_identity,
            )
            for stage in in_order
        }
        self._lpips = None
        if any(stage.patch for stage in in_order):
            everywhere = NamedSharding(mesh, PartitionSpec())
            self._lpips = jax.device_put(lpips.lpips_params("alex"), everywhere)

    def __call__(
        self, state: TrainState, step: int, batch: Batch
    ) -> tuple[TrainState, dict]:
        """The state after `step`, and metrics of the batch's identities.

        Args:
          state: before the step; it is donated.
          step: steps done.
          batch: on the devices.
        """
        stage = stages.at(self._stages, step)
        lpips_params = self._lpips if stage.patch else None
        if jax.process_count() > 1 and stage not in self._compiled:
            self._compile_together(stage, state, batch, lpips_params)
        train, density = self._programs[stage]
        visit = step if self._turns is None else self._turns.round(step)
        if visit % self._density_every == 0:
            state = density(state, batch)
        # Any transfer to the devices here would delay every step.
        with jax.transfer_guard("disallow"):
            return train(state, batch, lpips_params)

    def _compile_together(self, stage, state, batch, lpips_params) -> None:
        """Compiles a stage's programs; waits until all processes have."""
        train, density = self._programs[stage]
        self._compiled.add(stage)
        self._programs[stage] = (
            train.lower(state, batch, lpips_params).compile(),
            density.lower(state, batch).compile(),
        )
        process.meet("compiled")
