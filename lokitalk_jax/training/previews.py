"""Preview images of a run in training: truth, render, regions and depth."""

import jax
import numpy as np

from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import colour_maps, image_file, image_grid
from lokitalk_jax.model import architecture
from lokitalk_jax.structs import TrainState
from lokitalk_jax.training import train_step
from lokitalk_jax.training.metric_log import MetricLog
from lokitalk_jax.training.training_set import TrainingSet


def write(
    model: architecture.Model,
    state: TrainState,
    training_set: TrainingSet,
    step: int,
    log: MetricLog,
    stage: str,
) -> None:
    """Writes and logs a preview of each identity of the first process.

    Args:
      model: the model.
      state: after `step` steps.
      training_set: the identities.
      step: steps done.
      stage: that the last step belongs to; part of the file's name.
      log: of the run; previews go to the folder `previews` next to it.
    """
    if jax.process_index():
        return
    for slot, data in zip(training_set.slots, training_set.datasets, strict=True):
        if data is None:
            continue
        params = train_step.avatar_params(state, slot)
        renderer = FrameRenderer(model, params, data.camera, exact=True)
        picture = strip(renderer, training_set.record(data), data)
        path = log.workdir / "previews" / f"{data.name}-{step:07d}-{stage}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_file.write(path, picture)
        log.image(step, data.name, picture)


def strip(renderer: FrameRenderer, record: ClipRecord, data: Dataset) -> np.ndarray:
    """[truth | render | region maps | depth] of the middle held-out frame.

    Returns:
      uint8 [H, 4 W, 3].
    """
    held_out = record.test_frames
    pool = held_out if len(held_out) else record.train_frames
    index = int(pool[len(pool) // 2])
    rendered = renderer(
        record.head_to_camera[index],
        jax.tree.map(lambda x: x[index], record.signals),
        record.plate.astype(np.float32) / 255,
    )
    rendered = jax.device_get(rendered)
    seen = rendered.alpha > 0.5
    depth = rendered.depth
    nearest, farthest = (
        (float(depth[seen].min()), float(depth[seen].max())) if seen.any() else (0, 1)
    )
    return np.concatenate(
        [
            np.asarray(data.frames[index]),
            image_grid.to_uint8(np.clip(rendered.rgb, 0, 1)),
            colour_maps.colour_regions(np.clip(rendered.regions, 0, 1)),
            colour_maps.colour_depth(depth, rendered.alpha, nearest, farthest + 1e-3),
        ],
        axis=1,
    )
