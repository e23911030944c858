"""The training loop: steps, logs, previews, checkpoints, and when it ends."""

import functools
import logging
import pathlib
import time

import jax
import numpy as np

from lokitalk_jax import sharding
from lokitalk_jax.checkpoint.store import Checkpoints
from lokitalk_jax.data import clip_records
from lokitalk_jax.progress import Progress, Stage
from lokitalk_jax.structs import Config
from lokitalk_jax.training import (
    bad_values,
    previews,
    resuming,
    stages,
    stopping,
    voice_fitting,
)
from lokitalk_jax.training.metric_log import MetricLog
from lokitalk_jax.training.session import Session, build_session

_LOG = logging.getLogger(__name__)


def train(
    config: Config,
    workdir: pathlib.Path,
    progress: Progress | None = None,
) -> int:
    """Trains the run in `workdir`, from its last checkpoint if there is one.

    Args:
      config: see `base_config`; is stored with the run.
      workdir: of the run, made where missing.
      progress: receives "compiling" and "training", or each of several stages, such as
        "training, coarse", and "fitting Audio2Motion" for lips from speech.

    Returns:
      steps done.

    Raises:
      ValueError: config, data and the run in `workdir` do not fit together.
      FloatingPointError: a loss was not finite; names the step. The checkpoints before
        it are kept.
    """
    if config.train.steps < 1:
        raise ValueError(f"train.steps is {config.train.steps}; it must be at least 1")
    first = jax.process_index() == 0
    progress = progress if first else None
    session = build_session(config, workdir, progress)
    checkpoints = Checkpoints(workdir, config.train.checkpoint_every, config.train.keep)
    start, state = resuming.restore(session, checkpoints, workdir)
    training_set = session.training_set
    for data in filter(None, training_set.datasets):
        clip_records.save(workdir, training_set.record(data))

    log = MetricLog(workdir, enabled=first)
    stop = stopping.Stop(config.train.max_minutes)
    batches = session.batches.iterate(start)
    save = functools.partial(
        checkpoints.save,
        identities=training_set.names,
        fitted=training_set.fitted.to_arrays(),
        config=session.config.to_dict(),
    )
    step, began = start, time.monotonic()
    try:
        while step < config.train.steps:
            now = stages.at(session.stages, step)
            label = f", {now.name}" if len(session.stages) > 1 else ""
            compiles = step in (start, now.first)
            if compiles:
                bar = Stage(progress, f"compiling{label}")
            state, metrics = session.advance(state, step, next(batches))
            step += 1
            bar.advance()
            if compiles:
                bar = Stage(progress, f"training{label}", config.train.steps, done=step)
            ending = stopping.agreed(stop(), step, config.train.log_every)
            ending |= checkpoints.reached_preemption(step)
            last = step == config.train.steps or ending
            if step % config.train.log_every == 0 or last:
                rate = (step - start) / (time.monotonic() - began)
                log.training_step(
                    step, *_named(session, step - 1, sharding.fetch(metrics)), rate
                )
                bad_values.refuse(state, step, training_set.names)
            if checkpoints.due(step) or last:
                bad_values.refuse(state, step, training_set.names)
                save(step, state)
            if step % config.train.preview_every == 0 or last:
                previews.write(session.model, state, training_set, step, log, now.name)
            if ending:
                _LOG.info("stopping at step %d: %s", step, stop.reason or "preempted")
                break
    finally:
        batches.close()
        log.close()
        stop.restore_handler()
        checkpoints.close()
    if step == config.train.steps or stop.reason == stopping.TIME_IS_UP:
        voice_fitting.finish(config, workdir, progress)
    return step


def _named(session: Session, step: int, metrics: dict) -> tuple[dict, list[str]]:
    """Metrics of the identities of a step, and their names, padding left out."""
    names = session.training_set.names
    rows = np.arange(session.training_set.count)
    if session.turns is not None:
        rows = session.turns.rows(step)
    real = rows < len(names)
    shown = {name: values[real] for name, values in metrics.items()}
    return shown, [names[row] for row in rows[real]]
