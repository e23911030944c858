"""The training loop: steps, logs, previews, checkpoints, and when it ends."""

import contextlib
import functools
import logging
import pathlib
import time

import jax
import numpy as np

from lokitalk_jax import files, folder_lock, sharding
from lokitalk_jax.checkpoint import store
from lokitalk_jax.checkpoint.store import Checkpoints
from lokitalk_jax.data import clip_records
from lokitalk_jax.progress import Progress, Stage
from lokitalk_jax.structs import Config
from lokitalk_jax.training import (
    bad_values,
    previews,
    resuming,
    shared_folder,
    stages,
    stopping,
    voice_fitting,
)
from lokitalk_jax.training.metric_log import MetricLog
from lokitalk_jax.training.session import Session, build_session

_LOG = logging.getLogger(__name__)

# Fields of `train` that count steps, pixels or checkpoints.
_COUNTS = (
    "steps",
    "density_every",
    "patch",
    "log_every",
    "preview_every",
    "checkpoint_every",
    "keep",
)


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
      ValueError: config, data and the run in `workdir` do not fit together, or another
        process trains it.
      KeyboardInterrupt: Ctrl-C arrived; the run is saved.
      process.Terminated: SIGTERM arrived; the run is saved.
      FloatingPointError: a loss was not finite; names the step. The checkpoints before
        it are kept.
    """
    for field in _COUNTS:
        if config.train[field] < 1:
            raise ValueError(f"train.{field}={config.train[field]} must be at least 1")
    stopping.watch(store.last_saved(workdir))
    first = jax.process_index() == 0
    with folder_lock.hold(workdir) if first else contextlib.nullcontext():
        shared_folder.check(workdir)
        if first:
            files.sweep(workdir)
        session = build_session(config, workdir, progress if first else None)
        step, reason = _run(session, workdir, progress if first else None)
        stopping.leave(reason, step)
        voice_fitting.finish(config, workdir, progress if first else None)
    return step


def _run(
    session: Session, workdir: pathlib.Path, progress: Progress | None
) -> tuple[int, str]:
    """Trains from the last checkpoint; returns the steps done, and why it stopped."""
    config, training_set = session.config, session.training_set
    train = config.train
    with contextlib.ExitStack() as stack:
        stop = stopping.Stop(train.max_minutes, train.log_every)
        stack.callback(stop.restore_handlers)
        checkpoints = Checkpoints(workdir, train.checkpoint_every, train.keep)
        stack.callback(checkpoints.close)
        start, state = resuming.restore(session, checkpoints, workdir)
        checkpoints.prune()
        for data in filter(None, training_set.datasets):
            clip_records.save(workdir, training_set.record(data))
        log = MetricLog(workdir, enabled=jax.process_index() == 0)
        stack.callback(log.close)
        save = functools.partial(
            checkpoints.save,
            identities=training_set.names,
            fitted=training_set.fitted.to_arrays(),
            config=config.to_dict(),
            origin=session.origin,
        )
        batches = stack.enter_context(
            contextlib.closing(session.batches.iterate(start))
        )
        step, began = start, time.monotonic()
        reason = ""
        while step < train.steps and not reason:
            now = stages.at(session.stages, step)
            label = f", {now.name}" if len(session.stages) > 1 else ""
            compiles = step in (start, now.first)
            if compiles:
                bar = Stage(progress, f"compiling{label}")
            state, metrics = session.advance(state, step, next(batches))
            step += 1
            bar.advance()
            if compiles:
                bar = Stage(progress, f"training{label}", train.steps, done=step)
            reason = stop(step)
            last = step == train.steps or bool(reason)
            # A process that is killed while it compiles the next stage loses nothing.
            compiles_next = step == stages.at(session.stages, step).first
            if step % train.log_every == 0 or last:
                rate = (step - start) / (time.monotonic() - began)
                log.training_step(
                    step, *_named(session, step - 1, sharding.fetch(metrics)), rate
                )
                bad_values.refuse(state, step, training_set.names)
            if checkpoints.due(step) or last or compiles_next:
                bad_values.refuse(state, step, training_set.names)
                save(step, state)
            # A signal may leave the run little time.
            if (step % train.preview_every == 0 or last) and not stopping.urgent(
                reason
            ):
                checkpoints.wait()
                previews.write(session, state, step, log, now.name)
        if reason:
            _LOG.info("stopping at step %d: %s", step, reason)
    return step, reason


def _named(session: Session, step: int, metrics: dict) -> tuple[dict, list[str]]:
    """Metrics of the identities of a step, and their names, padding left out."""
    names = session.training_set.names
    rows = np.arange(session.training_set.count)
    if session.turns is not None:
        rows = session.turns.rows(step)
    real = rows < len(names)
    shown = {name: values[real] for name, values in metrics.items()}
    return shown, [names[row] for row in rows[real]]
