"""Audio2Motion: linear regression from feature rows of speech to lip coefficients.

A window of feature rows around a frame is projected to principal components, and lip
coefficients, in units of the identity's own spread, are linear in these. On features of
Whisper this predicts lips of unseen speakers at least as well as small networks do
(results/audio2motion.md). The regression does not depend on the identity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax import structs

RATE = 100  # feature rows a second
ROWS_PER_FRAME = RATE // structs.FPS
PARAMETERS = ("centre", "projection", "kernel", "bias")


class Spec(NamedTuple):
    """Sizes of the regression; times in feature rows (hundredths of a second).

    Attributes:
      back, ahead: rows before and after a frame's time that its window spans.
      stride: rows from one row of the window to the next.
      components: principal components of a row.
      lip_dim: D_lip, coefficients of the lip basis.
      hears: kind of the feature rows: a key of `hearing.WIDTHS`, or the name of a file
        of features that another program computed.
      inputs: numbers in a feature row.
    """

    back: int = 12
    ahead: int = 8
    stride: int = 2
    components: int = 128
    lip_dim: int = 8
    hears: str = "phones"
    inputs: int = 42

    @property
    def offsets(self) -> np.ndarray:
        """Int [W], rows of the window relative to the frame's own."""
        return np.arange(-self.back, self.ahead + 1, self.stride)


def init(spec: Spec, key: jax.Array) -> dict:
    """Random parameters, for a key []; see `ridge` for fitted ones.

    Returns:
      centre [inputs] and projection [inputs, C] of a row, kernel [W, C, D_lip] and bias
      [D_lip].
    """
    first, second = jax.random.split(key)
    shape = len(spec.offsets), spec.components, spec.lip_dim
    return {
        "centre": jnp.zeros(spec.inputs),
        "projection": jax.random.normal(first, (spec.inputs, spec.components))
        / spec.inputs**0.5,
        "kernel": jax.random.normal(second, shape) / np.prod(shape[:2]) ** 0.5,
        "bias": jnp.zeros(spec.lip_dim),
    }


def windows(spec: Spec, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Windows of feature rows around some times.

    Args:
      spec: sizes.
      rows: [T, inputs]; the first and the last are repeated beyond the ends.
      times: [F], in rows, integer or not.

    Returns:
      [F, W, inputs].
    """
    at = np.round(np.asarray(times)[:, None] + spec.offsets).astype(int)
    return rows[np.clip(at, 0, len(rows) - 1)]


def components(params: dict, windows):
    """Principal components [..., W, C] of windows [..., W, inputs]."""
    rows = windows.reshape(-1, windows.shape[-1])
    found = (rows - params["centre"][None]) @ params["projection"]
    return found.reshape(*windows.shape[:-1], found.shape[-1])


def apply(params: dict, windows):
    """Lip coefficients [..., D_lip] of windows [..., W, inputs], NumPy or JAX."""
    found = components(params, windows)
    kernel = params["kernel"].reshape(-1, params["kernel"].shape[-1])
    lip = found.reshape(-1, len(kernel)) @ kernel + params["bias"][None]
    return lip.reshape(*found.shape[:-2], lip.shape[-1])
