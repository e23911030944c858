"""Audio2Motion: the network from feature rows of speech to lip coefficients.

An ensemble of small networks of one shape, each trained on its own random batches. Each
sees a window of feature rows around a frame and predicts the mean and the variance of
the frame's lip coefficients, in units of the identity's own spread. The ensemble's mean
is the prediction; its variance adds the disagreement of the networks to the variance
that they predict. The network knows no identity: lip basis and scales are the run's.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import sound_features


class Spec(NamedTuple):
    """Sizes of the network; times in feature rows (hundredths of a second).

    Attributes:
      back, ahead: rows before and after a frame's time that its window spans.
      stride: rows from one row of the window to the next.
      members: networks of the ensemble.
      row_width: units of the first layer, which is applied to each row.
      width: units of the second layer, which sees all rows of the window.
      dropout: share of units that are dropped in training.
      lip_dim: D_lip, coefficients of the lip basis.
      hears: kind of the feature rows: a key of `sound_features.WIDTHS`, or the name of
        a file of features that another program computed.
      inputs: numbers in a feature row, loudness last.
    """

    back: int = 12
    ahead: int = 8
    stride: int = 2
    members: int = 4
    row_width: int = 16
    width: int = 32
    dropout: float = 0.5
    lip_dim: int = 8
    hears: str = "phones"
    inputs: int = sound_features.WIDTHS["phones"]

    @property
    def streams(self) -> bool:
        """Whether rows are computed from sound as it arrives, not read from a file."""
        return self.hears in sound_features.WIDTHS

    @property
    def look_ahead(self) -> float:
        """Seconds of sound after a frame's time that its lips depend on."""
        return self.ahead / sound_features.RATE + sound_features.LOOK_AHEAD

    @property
    def offsets(self) -> np.ndarray:
        """Int [W], rows of the window relative to the frame's own."""
        return np.arange(-self.back, self.ahead + 1, self.stride)


ROWS_PER_FRAME = sound_features.RATE // structs.FPS

# Range of log variances, in units of the identity's spread. The coefficient that moves
# least has a tenth of that spread.
_LOG_VARIANCE = (-8.0, 3.0)


class _Member(nn.Module):
    """One network: windows [..., W, inputs] -> means and log variances [..., D_lip]."""

    spec: Spec

    @nn.compact
    def __call__(self, windows, train: bool):
        spec = self.spec
        drop = nn.Dropout(spec.dropout, deterministic=not train)
        x = drop(nn.Dense(spec.row_width)(windows))
        x = x.reshape(*x.shape[:-2], -1)
        hidden = drop(nn.gelu(nn.Dense(spec.width)(x)))
        # Flax derives a layer's first parameters from its name: another one would fit
        # other networks than those that the results are of.
        output = nn.Dense(2 * spec.lip_dim, name="told")(hidden)
        mean, log_variance = jnp.split(output, 2, -1)
        mean += nn.Dense(spec.lip_dim, use_bias=False, name="linear")(x)
        return mean, jnp.clip(log_variance, *_LOG_VARIANCE)


def init(spec: Spec, key: jax.Array) -> dict:
    """First parameters; leaves lead with the axis of ensemble members."""
    windows = jnp.zeros((1, len(spec.offsets), spec.inputs))
    keys = jax.random.split(key, spec.members)
    return dict(jax.vmap(lambda k: _Member(spec).init(k, windows, False))(keys))


def windows(spec: Spec, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Windows of feature rows around some times.

    Args:
      spec: sizes.
      rows: [T, inputs]; the first and the last are repeated beyond the ends.
      times: [F], in rows, integer or not.

    Returns:
      float32 [F, W, inputs].
    """
    at = np.round(times[:, None] + spec.offsets).astype(int)
    return rows[np.clip(at, 0, len(rows) - 1)]


def apply(
    spec: Spec, params: dict, windows, key: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Lip coefficients that the ensemble predicts.

    Args:
      spec: sizes.
      params: see `init`.
      windows: [..., W, inputs].
      key: of the dropout, in training; None drops nothing.

    Returns:
      mean and variance, [..., D_lip] each, in units of the identity's spread.
    """

    def member(params, key) -> Any:
        rngs = {} if key is None else {"dropout": key}
        return _Member(spec).apply(params, windows, key is not None, rngs=rngs)

    keys = None if key is None else jax.random.split(key, spec.members)
    means, log_variances = jax.vmap(member)(params, keys)
    return means.mean(0), means.var(0) + jnp.exp(log_variances).mean(0)


def loss(spec: Spec, params: dict, windows, lip, key: jax.Array, velocity: float):
    """Gaussian negative log-likelihood, and squared error of the lips' velocity.

    Args:
      spec: sizes.
      params: see `init`.
      windows: [members, B, T, W, inputs], B stretches of T frames for each member.
      lip: [members, B, T, D_lip], tracked coefficients.
      key: of the dropout.
      velocity: weight of the second term.

    Returns:
      the sum over members.
    """

    def of_member(params, windows, lip, key):
        outputs: Any = _Member(spec).apply(params, windows, True, rngs={"dropout": key})
        mean, log_variance = outputs
        error = (mean - lip) ** 2
        likelihood = jnp.mean(error * jnp.exp(-log_variance) + log_variance)
        slip = jnp.diff(mean, axis=1) - jnp.diff(lip, axis=1)
        return likelihood + velocity * jnp.mean(slip**2)

    keys = jax.random.split(key, spec.members)
    return jax.vmap(of_member)(params, windows, lip, keys).sum()


def rescaled(params: dict, units: np.ndarray) -> dict:
    """Parameters that predict lips, of ones that predict lips / `units` [D_lip]."""
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
