"""Sampling along rays: a density grid guides a fixed number of samples.

The grid holds, for one identity, a running maximum of the density over the signals of
training frames. Compositing it along a ray gives weights that end at the first surface,
so samples concentrate there, and not in the air or inside the head, where the density
is never observed. The number of samples is fixed: shapes are static, and one program is
compiled.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.structs import Rays

Array = jax.Array


# Place of a station in its bin. Not the middle: between the front of the box and its
# back, every third station would lie on the boundary of two cells, where rounding
# decides.
_STATION = 0.47

_EVEN = 0.4  # share of the probability of refined samples that ignores weights


class SamplingSpec(NamedTuple):
    """Sizes of the guided sampling; static.

    Attributes:
      low, high: corners of the scene box, units of `UNIT`.
      cells: cells of the density grid along x, y, z.
      samples: S.
      uniform: share of the samples' probability that is spread evenly.
      decay: factor of a cell's running maximum when the cell is visited.
      bins: stations along a ray at which the grid is read.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    cells: tuple[int, int, int]
    samples: int
    uniform: float
    decay: float
    bins: int = 48


def init_density(spec: SamplingSpec) -> Array:
    """A grid of even, low density, [X, Y, Z]: samples start out spread evenly."""
    return jnp.full(spec.cells, 0.1)


def read_density(density: Array, points: Array, spec: SamplingSpec) -> Array:
    """Nearest cell's density. density [X, Y, Z], points [..., 3] -> [...]."""
    low, high, cells = (
        trailing(jnp.array(x), points) for x in (spec.low, spec.high, spec.cells)
    )
    index = jnp.floor((points - low) / (high - low) * cells).astype(jnp.int32)
    index = jnp.clip(index, 0, cells - 1)
    flat = (index[..., 0] * spec.cells[1] + index[..., 1]) * spec.cells[2]
    flat = flat + index[..., 2]
    return density.reshape(-1).at[flat].get(mode="promise_in_bounds")


def cell_centres(spec: SamplingSpec) -> np.ndarray:
    """Centres of all cells, [X * Y * Z, 3] in units of `UNIT`, in the grid's order."""
    low, high = np.array(spec.low), np.array(spec.high)
    index = np.moveaxis(np.indices(spec.cells), 0, -1).reshape(-1, 3)
    return (low + (index + 0.5) / np.array(spec.cells) * (high - low)).astype("f4")


def random_cells(key: Array, shape: tuple[int, ...], spec: SamplingSpec):
    """Random cells, and a random point in each.

    Args:
      key: random key [].
      shape: of the result.
      spec: sizes.

    Returns:
      flat cell numbers, `shape`, and points [*shape, 3] in units of `UNIT`.
    """
    pick, jitter = jax.random.split(key)
    x, y, z = spec.cells
    flat = jax.random.randint(pick, shape, 0, x * y * z)
    index = jnp.stack([flat // (y * z), flat // z % y, flat % z], axis=-1)
    inside = jax.random.uniform(jitter, index.shape)
    low, high, cells = (
        trailing(jnp.array(x), inside) for x in (spec.low, spec.high, spec.cells)
    )
    return flat, low + (index + inside) / cells * (high - low)


def update_density(density: Array, flat: Array, values: Array, spec: SamplingSpec):
    """The running maximum [X, Y, Z] after visits to some cells.

    Args:
      density: [X, Y, Z], before.
      flat: int [n], numbers of the cells.
      values: [n], densities found there.
      spec: sizes.
    """
    old = density.reshape(-1)
    visited = jnp.zeros_like(old, bool).at[flat].set(True)
    faded = jnp.where(visited, old * spec.decay, old)
    return faded.at[flat].max(values).reshape(density.shape)


def composite_weights(density: Array, widths: Array) -> Array:
    """Volume rendering weights (Max, 1995; NeRF, equation 3).

    Args:
      density: [..., S], per unit of length.
      widths: [..., S], length of each interval.

    Returns:
      [..., S]; they and the transmittance behind the last interval sum to 1.
    """
    optical = density * widths
    before = jnp.cumsum(optical, axis=-1) - optical
    return jnp.exp(-before) * (1 - jnp.exp(-optical))


def guided_samples(
    density: Array,
    rays: Rays,
    near: Array,
    far: Array,
    spec: SamplingSpec,
    key: Array | None,
) -> tuple[Array, Array]:
    """Distances of S samples along each ray, and the lengths of their intervals.

    The ray is cut into S intervals of equal probability; each has one sample, at a
    random place, or in the middle if there is no key.

    Args:
      density: [X, Y, Z].
      rays: directions [..., R, 3].
      near, far: [..., R].
      spec: sizes.
      key: of the random places; None makes rendering deterministic.

    Returns:
      distances [..., R, S], increasing, and widths [..., R, S].
    """
    length = (far - near)[..., None]
    stations = trailing((jnp.arange(spec.bins) + _STATION) / spec.bins, length)
    points = (
        rays.origins[..., None, :]
        + rays.directions[..., None, :]
        * ((near[..., None] + stations * length)[..., None])
    )
    weights = composite_weights(read_density(density, points, spec), length / spec.bins)
    # Cells are wide, and the maximum over signals lies in front of the surface of most
    # frames, so the surface may be in a neighbouring bin.
    window = (1,) * (weights.ndim - 1) + (3,)
    ones = (1,) * weights.ndim
    weights = jax.lax.reduce_window(weights, 0.0, jax.lax.max, window, ones, "SAME")
    total = jnp.sum(weights, axis=-1, keepdims=True)
    share = weights / (total + 1e-6)
    share = (1 - spec.uniform) * share + spec.uniform / spec.bins
    share = share / jnp.sum(share, axis=-1, keepdims=True)
    edges = near[..., None] + length * _quantiles(share, spec.samples)
    edges = jax.lax.stop_gradient(edges)
    widths = edges[..., 1:] - edges[..., :-1]
    place = 0.5 if key is None else jax.random.uniform(key, widths.shape)
    return edges[..., :-1] + widths * place, widths


def refined_samples(
    distances: Array, widths: Array, weights: Array, samples: int
) -> tuple[Array, Array]:
    """Fewer samples along rays whose volume rendering weights are known at some.

    Intervals of equal probability once more, each with a sample in its middle.
    Probability follows the weights, except for the share `_EVEN`, by which a ray next
    to this one still finds what this one missed.

    Args:
      distances, widths: [..., M], of the intervals that were rendered.
      weights: [..., M].
      samples: S.

    Returns:
      distances [..., S], increasing, and widths [..., S].
    """
    count = weights.shape[-1]
    first = distances[..., :1] - widths[..., :1] / 2
    last = distances[..., -1:] + widths[..., -1:] / 2
    # A surface may be in the neighbouring interval of a neighbouring ray.
    padded = jnp.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(1, 1)])
    weights = jnp.maximum(jnp.maximum(padded[..., :-2], padded[..., 2:]), weights)
    share = weights / (jnp.sum(weights, axis=-1, keepdims=True) + 1e-6)
    share = (1 - _EVEN) * share + _EVEN / count
    share = share / jnp.sum(share, axis=-1, keepdims=True)
    below = _shares_below(share, samples)
    inner = first + jnp.sum(below * widths[..., None, :], axis=-1)
    edges = jnp.concatenate([first, inner, last], axis=-1)
    widths = edges[..., 1:] - edges[..., :-1]
    return edges[..., :-1] + widths / 2, widths


def _quantiles(share: Array, parts: int) -> Array:
    """Positions in [0, 1] that cut a histogram into parts of equal probability.

    Args:
      share: [..., M], positive, sums to 1 along the last axis.
      parts: S.

    Returns:
      [..., S + 1], from 0 to 1.
    """
    inner = jnp.sum(_shares_below(share, parts), axis=-1) / share.shape[-1]
    ends = jnp.zeros_like(inner[..., :1])
    return jnp.concatenate([ends, inner, ends + 1], axis=-1)


def _shares_below(share: Array, parts: int) -> Array:
    """Share of each bin of a histogram below each inner quantile.

    Args:
      share: [..., M], positive, sums to 1 along the last axis.
      parts: S.

    Returns:
      [..., S - 1, M], in [0, 1].
    """
    upper = jnp.cumsum(share, axis=-1)
    lower = upper - share
    wanted = trailing(jnp.arange(1, parts)[:, None] / parts, share[..., None])
    part = (wanted - lower[..., None, :]) / share[..., None, :]
    return jnp.clip(part, 0, 1)
