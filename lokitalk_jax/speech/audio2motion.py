"""Audio2Motion: from what is heard to what the lips do, with how sure that is.

A few small networks of the same shape, each of which has learned from other stretches
of speech, look at a window of feature rows around a frame. Their mean is the motion,
in units of the person's own spread; their disagreement and the noise that they expect
are its uncertainty. They know no person: what someone's lips look like is in the lip
basis and scales of the run.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import trange

from lokitalk_jax import structs
from lokitalk_jax.speech import sound_features


class Spec(NamedTuple):
    """Sizes; lengths of time in feature rows (hundredths of a second).

    Attributes:
      back, ahead: reach of the window around a frame's time.
      stride: rows between those that are looked at.
      members: networks.
      articulation: numbers that a row is condensed to.
      width: hidden units.
      dropout: share of the units that a training step leaves out.
      lip_dim: coefficients of the lip basis.
      hears: what feature rows hold: a key of `speech.WIDTHS`, or the name of a file of
        features that another program makes.
      inputs: numbers in a feature row, loudness last.
    """

    back: int = 12
    ahead: int = 8
    stride: int = 2
    members: int = 4
    articulation: int = 16
    width: int = 32
    dropout: float = 0.5
    lip_dim: int = 8
    hears: str = "phones"
    inputs: int = sound_features.WIDTHS["phones"]

    @property
    def streams(self) -> bool:
        """Whether rows are made of sound as it comes, and not read from a file."""
        return self.hears in sound_features.WIDTHS

    @property
    def look_ahead(self) -> float:
        """Seconds of sound after a frame's time that its motion waits for."""
        return self.ahead / sound_features.RATE + sound_features.LOOK_AHEAD

    @property
    def offsets(self) -> np.ndarray:
        """Rows of the window, relative to the frame's."""
        return np.arange(-self.back, self.ahead + 1, self.stride)


ROWS_PER_FRAME = sound_features.RATE // structs.FPS

# Of log variances, in units of the lips' spread: that of the least coefficient is a
# tenth of it.
_LOG_VARIANCE = (-8.0, 3.0)


class _Member(nn.Module):
    spec: Spec

    @nn.compact
    def __call__(self, windows, train: bool):
        spec = self.spec
        drop = nn.Dropout(spec.dropout, deterministic=not train)
        x = drop(nn.Dense(spec.articulation)(windows))
        x = x.reshape(*x.shape[:-2], -1)
        hidden = drop(nn.gelu(nn.Dense(spec.width)(x)))
        told = nn.Dense(2 * spec.lip_dim, name="told")(hidden)
        mean, log_variance = jnp.split(told, 2, -1)
        mean += nn.Dense(spec.lip_dim, use_bias=False, name="linear")(x)
        return mean, jnp.clip(log_variance, *_LOG_VARIANCE)


def init(spec: Spec, key: jax.Array) -> dict:
    """Parameters; leading axis members."""
    windows = jnp.zeros((1, len(spec.offsets), spec.inputs))
    keys = jax.random.split(key, spec.members)
    return jax.vmap(lambda k: _Member(spec).init(k, windows, False))(keys)


def windows(spec: Spec, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What the networks look at.

    Args:
      spec: sizes.
      rows: [time, inputs], see `spoken_clip.rows`; held before the first and after
        the last.
      times: [F], the frames' times in rows, whole or not.

    Returns:
      float32 [F, W, inputs].
    """
    at = np.round(times[:, None] + spec.offsets).astype(int)
    return rows[np.clip(at, 0, len(rows) - 1)]


def apply(
    spec: Spec, params: dict, looked_at, key: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Lip motion.

    Args:
      spec: sizes.
      params: see `init`.
      key: of the dropout, while it is trained; None leaves nothing out.
      looked_at: [..., W, inputs], see `windows`.

    Returns:
      mean and variance of the lip coefficients, [..., D_lip] each, in units of the
      person's spread.
    """

    def member(params, key):
        rngs = {} if key is None else {"dropout": key}
        return _Member(spec).apply(params, looked_at, key is not None, rngs=rngs)

    keys = None if key is None else jax.random.split(key, spec.members)
    means, log_variances = jax.vmap(member)(params, keys)
    return means.mean(0), means.var(0) + jnp.exp(log_variances).mean(0)


def loss(spec: Spec, params: dict, looked_at, lip, key: jax.Array, velocity: float):
    """Gaussian likelihood of the motion, and squared error of its velocity.

    Args:
      spec: sizes.
      params: see `init`.
      looked_at: [members, B, T, W, inputs], stretches of T frames, others for each
        member.
      lip: [members, B, T, D_lip], the tracked motion.
      key: of the dropout.
      velocity: weight of the second term.
    """

    def of_member(params, looked_at, lip, key):
        mean, log_variance = _Member(spec).apply(
            params, looked_at, True, rngs={"dropout": key}
        )
        error = (mean - lip) ** 2
        likelihood = jnp.mean(error * jnp.exp(-log_variance) + log_variance)
        moved = jnp.diff(mean, axis=1) - jnp.diff(lip, axis=1)
        return likelihood + velocity * jnp.mean(moved**2)

    keys = jax.random.split(key, spec.members)
    return jax.vmap(of_member)(params, looked_at, lip, keys).sum()


class Speaker(NamedTuple):
    """What is learned from of one clip of F frames.

    Attributes:
      name: whose.
      looked_at: the clip's windows [F, W, inputs], as they are and then changed.
      lip: [F, D_lip], the tracked motion.
      usable: bool [F].
    """

    name: str
    looked_at: list[np.ndarray]
    lip: np.ndarray
    usable: np.ndarray


class Training(NamedTuple):
    """How it is trained.

    Attributes:
      steps: of Adam with weight decay.
      rate: of learning, at the start of a cosine.
      decay: of the weights.
      velocity: weight of the velocity's error.
      batch, frames: stretches in a step for each member, and their length.
      changed: how often the sound of a stretch is a changed version.
    """

    steps: int = 400
    rate: float = 3e-3
    decay: float = 0.05
    velocity: float = 1.0
    batch: int = 8
    frames: int = 50
    changed: float = 0.3


def fit(spec: Spec, training: Training, speakers: list[Speaker], seed: int) -> dict:
    """Trains the networks; the same data and seed give the same parameters.

    Args:
      spec: sizes.
      training: how.
      speakers: from whom; each stretch of speech is as likely as the next.
      seed: of first parameters, dropout and order.

    Returns:
      parameters, see `init`.

    Raises:
      ValueError: no clip has a stretch of usable frames that is long enough.
    """
    stretches = [
        (i, start)
        for i, one in enumerate(speakers)
        for start in _starts(one.usable, training.frames)
    ]
    if not stretches:
        raise ValueError(
            f"none of {', '.join(one.name for one in speakers)} has "
            f"{training.frames} training frames in a row with a face, gaps of a frame "
            "or two aside; use longer clips"
        )
    # All coefficients are worth learning; the widest motion would drown the others.
    spread = [np.mean(one.lip[one.usable] ** 2, 0) for one in speakers]
    units = np.maximum(np.sqrt(np.mean(spread, 0)), 1e-3)
    speakers = [one._replace(lip=one.lip / units) for one in speakers]
    params = init(spec, jax.random.key(seed))
    schedule = optax.cosine_decay_schedule(training.rate, training.steps)
    rule = optax.adamw(schedule, weight_decay=training.decay)
    moments = rule.init(params)

    @jax.jit
    def step(params, moments, looked_at, lip, key):
        grads = jax.grad(loss, 1)(spec, params, looked_at, lip, key, training.velocity)
        updates, moments = rule.update(grads, moments, params)
        return optax.apply_updates(params, updates), moments

    for i in trange(training.steps, desc="fitting lips to sound", unit="step"):
        rng = np.random.default_rng((seed, i))
        batch = _draw(rng, spec, training, speakers, stretches)
        key = jax.random.fold_in(jax.random.key(seed), i)
        params, moments = step(params, moments, *batch, key)
    return _in_units(jax.device_get(params), units)


def _in_units(params: dict, units: np.ndarray) -> dict:
    """Networks that tell multiples of `units` [D_lip], as networks that tell lips."""
    layers = dict(params["params"])
    kernel, bias = layers["told"]["kernel"], layers["told"]["bias"]
    # Means first, then log variances.
    factors = np.concatenate([units, np.ones_like(units)])
    shift = np.concatenate([np.zeros_like(units), 2 * np.log(units)])
    layers["told"] = {
        "kernel": np.float32(kernel * factors),
        "bias": np.float32(bias * factors + shift),
    }
    layers["linear"] = {"kernel": np.float32(layers["linear"]["kernel"] * units)}
    return params | {"params": layers}


def _starts(usable: np.ndarray, length: int) -> np.ndarray:
    run = np.convolve(usable, np.ones(length, int), "valid")
    return np.flatnonzero(run == length)


def _draw(rng, spec, training, speakers, stretches):
    looked_at, lip = [], []
    for pick in rng.integers(len(stretches), size=spec.members * training.batch):
        who, start = stretches[pick]
        one = speakers[who]
        version = 0
        if len(one.looked_at) > 1 and rng.random() < training.changed:
            version = rng.integers(1, len(one.looked_at))
        part = slice(start, start + training.frames)
        looked_at.append(one.looked_at[version][part])
        lip.append(one.lip[part])
    shape = spec.members, training.batch
    looked_at, lip = np.stack(looked_at), np.stack(lip)
    return looked_at.reshape(*shape, *looked_at.shape[1:]), lip.reshape(
        *shape, *lip.shape[1:]
    )
