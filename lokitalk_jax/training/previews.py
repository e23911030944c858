"""Preview images of a run in training: truth, render and maps of a held-out frame."""

import jax
import numpy as np

from lokitalk_jax.avatar import motion, panels
from lokitalk_jax.avatar.run import OpenAvatar, assemble
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_file, image_grid
from lokitalk_jax.structs import TrainState
from lokitalk_jax.training import train_step
from lokitalk_jax.training.metric_log import MetricLog
from lokitalk_jax.training.session import Session


def write(
    session: Session, state: TrainState, step: int, log: MetricLog, stage: str
) -> None:
    """Writes and logs a preview of each identity of the first process.

    Args:
      session: of the run.
      state: after `step` steps.
      step: steps done.
      log: of the run; previews go to the folder `previews` next to it.
      stage: that the last step belongs to; part of the file's name.
    """
    if jax.process_index():
        return
    people = session.training_set
    for slot, data in zip(people.slots, people.datasets, strict=True):
        if data is None:
            continue
        params, record = train_step.avatar_params(state, slot), people.record(data)
        avatar = assemble(session.model, session.config, record, params).exact()
        picture = drawn(avatar, data)
        path = log.workdir / "previews" / f"{data.name}-{step:07d}-{stage}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_file.write(path, picture)
        log.image(step, data.name, picture)


def drawn(avatar: OpenAvatar, data: Dataset) -> np.ndarray:
    """Truth, render and maps of the middle held-out frame, uint8 [H', W', 3]."""
    record = avatar.record
    pool = record.test_frames if len(record.test_frames) else record.train_frames
    index = int(pool[len(pool) // 2])
    pose, signals = motion.tracked(record, [index]).frame(0)
    plate = record.plate.astype(np.float32) / 255
    rendered = jax.device_get(avatar.renderer(pose, signals, plate))
    shown = {"truth": data.frames[index], "render": image_grid.to_uint8(rendered.rgb)}
    return panels.row(shown | panels.maps(rendered, avatar.depth_range))
