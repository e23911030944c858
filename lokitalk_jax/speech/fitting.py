"""Training of Audio2Motion on stretches of speech of one or many speakers."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax

from lokitalk_jax.progress import Progress, Stage
from lokitalk_jax.speech import audio2motion
from lokitalk_jax.speech.audio2motion import Spec


class TrainingClip(NamedTuple):
    """Training data of one clip of F frames.

    Attributes:
      name: of its identity.
      windows: of feature rows, [F, W, inputs] each: of the recording, then of its
        augmented variants.
      lip: [F, D_lip], tracked coefficients.
      usable: bool [F], frames to train on.
    """

    name: str
    windows: list[np.ndarray]
    lip: np.ndarray
    usable: np.ndarray


class FitOptions(NamedTuple):
    """How Audio2Motion is trained.

    Attributes:
      steps: of AdamW.
      rate: learning rate at the start of a cosine schedule.
      decay: weight decay.
      velocity: weight of the squared error of the lips' velocity.
      batch: stretches in a step, for each member of the ensemble.
      frames: length of a stretch.
      augmented: probability that a stretch is taken from an augmented variant.
    """

    steps: int = 400
    rate: float = 3e-3
    decay: float = 0.05
    velocity: float = 1.0
    batch: int = 8
    frames: int = 50
    augmented: float = 0.3


def fit(
    spec: Spec,
    options: FitOptions,
    clips: Sequence[TrainingClip],
    seed: int,
    progress: Progress | None = None,
) -> dict:
    """Trains the ensemble; equal data and seed give equal parameters.

    Args:
      spec: sizes.
      options: of the training.
      clips: to train on; all stretches of usable frames are equally likely, and those
        of a clip that is listed n times are n times as likely.
      seed: of first parameters, dropout and batches.
      progress: see `lokitalk_jax.progress`.

    Returns:
      parameters, see `audio2motion.init`.

    Raises:
      ValueError: no clip has a stretch of usable frames that is long enough.
    """
    stretches = [
        (i, start)
        for i, clip in enumerate(clips)
        for start in _starts(clip.usable, options.frames)
    ]
    if not stretches:
        raise ValueError(
            f"none of {', '.join(clip.name for clip in clips)} has {options.frames} "
            "training frames in a row with a face, gaps of a frame or two aside; use "
            "longer clips"
        )
    # Coefficients are scaled to equal spread, since the widest would dominate the loss.
    power = [np.mean(clip.lip[clip.usable] ** 2, 0) for clip in clips]
    units = np.maximum(np.sqrt(np.mean(power, 0)), 1e-3)
    clips = [clip._replace(lip=clip.lip / units) for clip in clips]
    params = audio2motion.init(spec, jax.random.key(seed))
    schedule = optax.cosine_decay_schedule(options.rate, options.steps)
    rule = optax.adamw(schedule, weight_decay=options.decay)
    moments = rule.init(params)

    @jax.jit
    def step(params, moments, windows, lip, key):
        gradient = jax.grad(audio2motion.loss, 1)
        grads = gradient(spec, params, windows, lip, key, options.velocity)
        updates, moments = rule.update(grads, moments, params)
        return optax.apply_updates(params, updates), moments

    stage = Stage(progress, "fitting Audio2Motion", options.steps)
    for i in range(options.steps):
        rng = np.random.default_rng((seed, i))
        batch = _draw(rng, spec, options, clips, stretches)
        key = jax.random.fold_in(jax.random.key(seed), i)
        params, moments = step(params, moments, *batch, key)
        stage.advance()
    return audio2motion.rescaled(jax.device_get(params), units)


def _starts(usable: np.ndarray, length: int) -> np.ndarray:
    """First frames of all stretches of `length` usable frames."""
    run = np.convolve(usable, np.ones(length, int), "valid")
    return np.flatnonzero(run == length)


def _draw(rng, spec: Spec, options: FitOptions, clips, stretches):
    """Windows [members, B, T, W, inputs] and lips [members, B, T, D_lip]."""
    windows, lip = [], []
    for pick in rng.integers(len(stretches), size=spec.members * options.batch):
        index, start = stretches[pick]
        clip = clips[index]
        variant = 0
        if len(clip.windows) > 1 and rng.random() < options.augmented:
            variant = rng.integers(1, len(clip.windows))
        part = slice(start, start + options.frames)
        windows.append(clip.windows[variant][part])
        lip.append(clip.lip[part])
    shape = spec.members, options.batch
    windows, lip = np.stack(windows), np.stack(lip)
    return windows.reshape(*shape, *windows.shape[1:]), lip.reshape(
        *shape, *lip.shape[1:]
    )
