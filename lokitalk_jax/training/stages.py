"""Stages of training, from coarse to fine.

coarse      small images, the grid levels that they resolve, few rays: shape, gates and
            motion
fine        images of the full size, all levels
perceptual  the same with square patches of pixels and LPIPS

The stage is a function of the step alone, so a run resumes in the right one. Stages
without steps are left out; small runs have one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lokitalk_jax.model import hashgrid
from lokitalk_jax.structs import Config

# The coarse stage draws this many times fewer rays.
_FEWER_RAYS = 4
# Grid cells along the scene box for each pixel along the image: finer levels would
# learn nothing from images of that size.
_CELLS_PER_PIXEL = 2


class TrainingStage(NamedTuple):
    """Consecutive steps of one compiled program.

    Attributes:
      name: coarse, fine or perceptual.
      first, end: its steps are `first`, ..., `end` - 1.
      size: longest side of its images, pixels.
      frames, rays: B and R.
      patch: side of its patches, pixels; None draws pixels one by one.
      levels: leading levels of the grid that it reads.
    """

    name: str
    first: int
    end: int
    size: int
    frames: int
    rays: int
    patch: int | None
    levels: int


def from_config(config: Config) -> tuple[TrainingStage, ...]:
    """The stages of a config, in their order.

    Raises:
      ValueError: shares or sizes of stages do not fit the run.
    """
    train, data = config.train, config.data
    if min(train.coarse, train.perceptual) < 0 or train.coarse + train.perceptual > 1:
        raise ValueError(
            f"train.coarse={train.coarse} train.perceptual={train.perceptual} must be "
            "shares of the steps: not negative, with a sum of at most 1"
        )
    if train.coarse and train.coarse_size > data.size:
        raise ValueError(
            f"train.coarse_size={train.coarse_size} is above data.size={data.size}; "
            "lower it, or set train.coarse to 0"
        )
    coarse_end = round(train.steps * train.coarse)
    fine_end = max(round(train.steps * (1 - train.perceptual)), coarse_end)
    fine = TrainingStage(
        "fine",
        coarse_end,
        fine_end,
        data.size,
        data.frames_per_step,
        data.rays_per_frame,
        None,
        config.grid.levels,
    )
    coarse = fine._replace(
        name="coarse",
        first=0,
        end=coarse_end,
        size=train.coarse_size,
        rays=max(data.rays_per_frame // _FEWER_RAYS, 1),
        levels=_resolved_levels(config),
    )
    # About as many rays a step as before.
    area = train.patch**2
    perceptual = fine._replace(
        name="perceptual",
        first=fine_end,
        end=train.steps,
        frames=max(1, data.frames_per_step * data.rays_per_frame // area),
        rays=area,
        patch=train.patch,
    )
    return tuple(one for one in (coarse, fine, perceptual) if one.end > one.first)


def at(stages: Sequence[TrainingStage], step: int) -> TrainingStage:
    """The stage of a step; the last one for steps beyond the end."""
    return next((one for one in stages if step < one.end), stages[-1])


def _resolved_levels(config: Config) -> int:
    """Leading grid levels that images of the coarse stage resolve, at least one."""
    cells = hashgrid.level_cells(hashgrid.GridSpec(**config.grid))
    finest = _CELLS_PER_PIXEL * config.train.coarse_size
    return max(sum(n <= finest for n in cells), 1)
