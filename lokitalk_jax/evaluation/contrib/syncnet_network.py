"""SyncNet: its two networks, which embed sound and lips (Chung and Zisserman 2016)."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lokitalk_jax import torch_file

# A convolution: its number in the file, stride and padding; batch normalisation and a
# ReLU follow it. A max pool: its window, stride and padding.
_SOUND = (
    (0, (1, 1), (1, 1)),
    (4, (1, 1), (1, 1)),
    ((3, 3), (1, 2), (0, 0)),
    (8, (1, 1), (1, 1)),
    (11, (1, 1), (1, 1)),
    (14, (1, 1), (1, 1)),
    ((3, 3), (2, 2), (0, 0)),
    (18, (1, 1), (0, 0)),
)
_LIPS = (
    (0, (1, 2, 2), (0, 0, 0)),
    ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (4, (1, 2, 2), (0, 1, 1)),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    (8, (1, 1, 1), (0, 1, 1)),
    (11, (1, 1, 1), (0, 1, 1)),
    (14, (1, 1, 1), (0, 1, 1)),
    ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (18, (1, 1, 1), (0, 0, 0)),
)
_EPSILON = 1e-5  # of batch normalisation


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the weights.

    Args:
      path: syncnet_v2.model.

    Returns:
      arrays [...] by name, as published.

    Raises:
      ValueError: there is no such file, or it does not hold SyncNet.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}; give syncnet_v2.model")
    weights = torch_file.read(path)
    wanted = {
        f"net{kind}{part}.0.weight" for kind in ("cnn", "fc") for part in ("aud", "lip")
    }
    if not wanted <= weights.keys():
        raise ValueError(
            f"{path} holds no SyncNet: {', '.join(sorted(wanted - weights.keys()))} "
            "are missing; give syncnet_v2.model"
        )
    return weights


def embed_sound(weights: Any, cepstra: jax.Array) -> jax.Array:
    """Embeds sound [B, 13, 20] as [B, 1024]."""
    return _embed(weights, cepstra[:, None], _SOUND, "aud")


def embed_lips(weights: Any, frames: jax.Array) -> jax.Array:
    """Embeds faces [B, 5, 224, 224, 3], BGR from 0 to 255, as [B, 1024]."""
    return _embed(weights, jnp.moveaxis(frames, -1, 1), _LIPS, "lip")


def _embed(weights: Any, x: jax.Array, layers: tuple, part: str) -> jax.Array:
    def normalised(x: jax.Array, name: str) -> jax.Array:
        scale, shift, mean, variance = (
            weights[f"{name}.{key}"].reshape(1, -1, *[1] * (x.ndim - 2))
            for key in ("weight", "bias", "running_mean", "running_var")
        )
        return jax.nn.relu((x - mean) / jnp.sqrt(variance + _EPSILON) * scale + shift)

    def linear(x: jax.Array, name: str) -> jax.Array:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"][None]

    for first, stride, padding in layers:
        pads = [(p, p) for p in padding]
        if isinstance(first, tuple):
            ones = (1, 1)
            x = lax.reduce_window(
                x,
                -jnp.inf,
                lax.max,
                ones + first,
                ones + stride,
                [(0, 0), (0, 0), *pads],
            )
            continue
        name = f"netcnn{part}.{first}"
        x = lax.conv_general_dilated(x, weights[f"{name}.weight"], stride, pads)
        bias = weights[f"{name}.bias"].reshape(1, -1, *[1] * (x.ndim - 2))
        x = normalised(x + bias, f"netcnn{part}.{first + 1}")
    x = linear(x.reshape(len(x), -1), f"netfc{part}.0")
    return linear(normalised(x, f"netfc{part}.1"), f"netfc{part}.3")
