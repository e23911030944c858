"""Values at the nodes of a regular lattice, interpolated trilinearly."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Corner = tuple[float, float, float]

_CORNERS = tuple(itertools.product((0, 1), repeat=3))


class Lattice(NamedTuple):
    """Nodes in a box; static.

    Attributes:
      low, high: corners of the box, where the first and the last node lie.
      counts: nodes along x, y, z, at least two each.
    """

    low: Corner
    high: Corner
    counts: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(np.prod(self.counts))

    @classmethod
    def spaced(cls, low: Corner, high: Corner, spacing: float) -> "Lattice":
        """The lattice of a box whose nodes are at most `spacing` apart.

        Raises:
          ValueError: the spacing or a side of the box is not positive.
        """
        sides = np.asarray(high, float) - np.asarray(low, float)
        if spacing <= 0 or (sides <= 0).any():
            raise ValueError(
                f"spacing={spacing} and the sides high - low={sides.tolist()} must be "
                "positive"
            )
        x, y, z = (np.ceil(sides / spacing - 1e-6).astype(int) + 1).tolist()
        return cls(low, high, (x, y, z))


def positions(lattice: Lattice) -> np.ndarray:
    """Positions of all nodes, float32 [N, 3], z varying fastest."""
    axes = (
        np.linspace(low, high, count, dtype=np.float32)
        for low, high, count in zip(*lattice, strict=True)
    )
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def interpolate(lattice: Lattice, values: Array, axes: Sequence[Array]) -> Array:
    """Values at points; a point outside the box takes the value of its nearest face.

    Args:
      lattice: of the nodes.
      values: [B, N, C] at the nodes, or [1, N, C] for all frames.
      axes: x, y, z of the points, [B, Q] each; apart, so that arithmetic on them is
        vectorised on a CPU.

    Returns:
      [B, Q, C].
    """
    frames, size, width = values.shape
    shape = axes[0].shape
    first, fractions = _cells(lattice, axes)
    first += size * jnp.arange(frames, dtype=jnp.int32)[:, None]
    # XLA's CPU backend fuses the eight gathers into one loop only where one operation
    # reads their sum. Whatever follows, that is so in the body of a loop: of two turns.
    cells = jax.tree.map(_halves, (first, fractions))
    table = values.reshape(-1, width)
    found = jax.lax.map(lambda half: _corners(lattice, table, *half), cells)
    return found.reshape(-1, width)[: first.size].reshape(*shape, width)


def _cells(lattice: Lattice, axes: Sequence[Array]) -> tuple[Array, list[Array]]:
    """The first node of each point's cell, and the point's place in the cell."""
    first, fractions = jnp.int32(0), []
    for place, low, high, count in zip(axes, *lattice, strict=True):
        place = jnp.clip((place - low) * ((count - 1) / (high - low)), 0, count - 1)
        cell = jnp.minimum(jnp.floor(place), count - 2)  # the last cell is closed
        first = first * count + cell.astype(jnp.int32)
        fractions.append(place - cell)
    return first, fractions


def _halves(flat: Array) -> Array:
    flat = flat.reshape(-1)
    return jnp.pad(flat, (0, flat.size % 2)).reshape(2, -1)


def _corners(lattice: Lattice, table: Array, first: Array, fractions) -> Array:
    """Weighted sum of the rows at the corners of cells. [P] -> [P, C]."""
    _, y_nodes, z_nodes = lattice.counts
    total = jnp.zeros((first.size, table.shape[-1]))
    for corner in _CORNERS:
        x, y, z = (
            part if far else 1 - part
            for part, far in zip(fractions, corner, strict=True)
        )
        step = (corner[0] * y_nodes + corner[1]) * z_nodes + corner[2]
        rows = table.at[first + step].get(mode="promise_in_bounds")
        total = total + (x * y * z)[:, None] * rows
    return total
