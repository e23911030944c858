"""The training loop: data, steps, logs, previews, checkpoints, and how it ends."""

import functools
import logging
import pathlib
import time

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from lokitalk_jax import structs
from lokitalk_jax.avatar import frames
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.checkpoint import Checkpoints
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import spoken_clip, voice
from lokitalk_jax.training import previews, stopping, train_step
from lokitalk_jax.training.cast import Cast
from lokitalk_jax.training.metric_log import MetricLog
from lokitalk_jax.training.session import build_session

_LOG = logging.getLogger(__name__)


def _fetch(by_identity):
    """A tree of values [N] on the host, whichever processes hold them."""
    if jax.process_count() == 1:
        return jax.device_get(by_identity)
    return multihost_utils.process_allgather(by_identity, tiled=True)


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> int:
    """Trains, or goes on training, the run in `workdir`.

    Args:
      config: see `base_config.py`; complete, is stored with the run.
      workdir: made where missing; a run found there is resumed.

    Returns:
      steps done.

    Raises:
      ValueError: config, data and the run found do not fit together.
      FloatingPointError: a loss was not finite; names the step. The checkpoints
        before it are kept.
    """
    if config.train.steps < 1:
        raise ValueError(f"train.steps is {config.train.steps}; it must be at least 1")
    session = build_session(config, workdir)
    cast, state = session.cast, session.state
    resolved = session.config.to_dict()
    checkpoints = Checkpoints(workdir, config.train.checkpoint_every, config.train.keep)
    start = checkpoints.latest_step() or 0
    if start:
        stopping.check_compatible(resolved, cast.names, checkpoints, workdir)
        state = checkpoints.restore(start, state, cast.mesh)
        _LOG.info("resuming %s at step %d", workdir, start)
    for data in filter(None, cast.datasets):
        clip_records.save(workdir, cast.record(data))

    log = MetricLog(workdir, enabled=jax.process_index() == 0)
    stop = stopping.Stop(config.train.max_minutes)
    save = functools.partial(
        checkpoints.save,
        identities=cast.names,
        fitted=cast.fitted.to_arrays(),
        config=resolved,
    )
    source = session.batches.iterate(start)
    progress = tqdm(
        total=config.train.steps,
        initial=start,
        desc="compiling",
        unit="step",
        disable=jax.process_index() > 0,
        mininterval=1.0,
    )
    step, began = start, time.monotonic()
    try:
        while step < config.train.steps:
            state, metrics = session.advance(state, step, next(source))
            if step == start:
                progress.unpause()  # compiling is no measure of what is to come
                progress.set_description("training")
            step += 1
            progress.update()
            last = step == config.train.steps
            ending = stopping.agreed(stop(), step, config.train.log_every)
            ending |= checkpoints.reached_preemption(step)
            if step % config.train.log_every == 0 or last or ending:
                rate = (step - start) / (time.monotonic() - began)
                _log(log, progress, step, _fetch(metrics), cast.names, rate)
                _refuse_bad(state, step, cast.names)
            if checkpoints.due(step) or last or ending:
                _refuse_bad(state, step, cast.names)
                save(step, state, force=True)
            if step % config.train.preview_every == 0 or last or ending:
                _preview(session.model, state, cast, workdir, log, step)
            if ending:
                _LOG.info("stopping at step %d: %s", step, stop.reason or "preempted")
                break
    finally:
        progress.close()
        source.close()
        log.close()
        stop.restore_handler()
        checkpoints.close()
    done = step == config.train.steps or stop.reason == stopping.TIME_IS_UP
    if done:
        try:
            if session.model.voice:
                _keep_encoder(workdir)
            elif config.voice.steps and not voice.exists(workdir):
                fit_voice(config, workdir)
        except ValueError as error:
            _LOG.warning("sound cannot drive this run: %s", error)
    return step


def fit_voice(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """Lets sound drive a run's people; what they add to a prior's they add here too.

    All processes call it, as reading a run waits for all of them; the first one writes.

    Args:
      config: `voice` and `seed` of it.
      workdir: a run that has been trained.

    Raises:
      ValueError: there is no such run, or its clips have no sound.
    """
    run = Run(workdir)
    clips = [spoken_clip.of_record(run.record(name)) for name in run.identities]
    known = []
    if run.config.prior:
        prior = pathlib.Path(run.config.prior)
        known = clip_records.load_all(prior, besides=run.identities)
    others = [spoken_clip.of_record(one) for one in known]
    voice.fit_run(workdir, clips, others, config.voice, config.seed)


def _keep_encoder(workdir: pathlib.Path) -> None:
    """Keeps the audio encoder that was trained along as the run's voice."""
    run = Run(workdir)
    params = run.shared["voice"]
    made = voice.Voice(run.model.voice, params, {})
    clips = [spoken_clip.of_record(run.record(name)) for name in run.identities]
    voice.keep(run.workdir, made, clips)


def _log(log, progress, step: int, metrics: dict, names: list[str], rate: float):
    real = len(names)
    means = {k: float(np.mean(v[:real])) for k, v in metrics.items()}
    each = {f"psnr/{n}": float(v) for n, v in zip(names, metrics["psnr"], strict=False)}
    log.scalars(step, means | each | {"steps_per_second": rate})
    progress.set_postfix(psnr=f"{means['psnr']:.2f}", loss=f"{means['loss']:.4f}")


@jax.jit
def _finite(params: dict) -> jax.Array:
    """Whether all parameters are finite; replicated."""
    return jnp.all(
        jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)])
    )


def _refuse_bad(state: structs.TrainState, step: int, names: list[str]) -> None:
    """Raises FloatingPointError where a state of `step` steps must not be saved."""
    first = _fetch(state.first_bad)[: len(names)]
    if (first >= 0).any():
        bad = first[first >= 0].min()
        who = ", ".join(
            name for name, at in zip(names, first, strict=True) if at == bad
        )
        what = f"the loss of {who} was not finite at step {bad}"
    elif not _finite(state.params):
        # A finite loss can have a gradient that is not.
        what = f"the parameters were not finite after step {step - 1}"
    else:
        return
    raise FloatingPointError(
        f"{what}; the checkpoints before it are kept: lower the rates (config.lr) or "
        "change the seed and start in another --workdir, or run the same command again "
        "to go on from the last checkpoint"
    )


def _preview(model, state, cast: Cast, workdir: pathlib.Path, log, step: int) -> None:
    """Writes a strip of truth and renders for each identity of the first process."""
    if jax.process_index():
        return
    for slot, data in zip(cast.slots, cast.datasets, strict=True):
        if data is None:
            continue
        record = clip_records.load(workdir, data.name)
        params = train_step.avatar_params(state, slot)
        renderer = frames.FrameRenderer(model, params, data.camera)
        strip = previews.strip(renderer, record, data)
        previews.save(workdir / "previews" / f"{data.name}-{step:07d}.png", strip)
        log.image(step, data.name, strip)
