"""Multiresolution hash encoding (Mueller et al., Instant NGP, 2022, section 3).

One flat table holds all levels; coarse levels that fit are stored densely, the others
are hashed. `encode` has its own gradient rule, because plain differentiation of the
lookups with respect to the points gathers every row again for each axis without
fusing. The same function has two formulations, one for each kind of hardware: XLA's
CPU backend is fastest with one gather per corner fused into a loop, level by level; a
GPU is fastest with few kernels, so there the levels are an array axis.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.broadcasting import trailing

Array = jax.Array

# Mueller et al. (2022), equation 4; the first axis is left as it is.
_PRIMES = np.array([1, 2654435761, 805459861], np.uint32)
_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)), np.uint32)  # [8, 3]


class GridSpec(NamedTuple):
    """Sizes of a grid; static, so it can be a compile-time constant.

    Attributes:
      levels: L.
      coarsest, finest: cells along an axis of the unit cube at level 0 and L - 1;
        levels between grow geometrically.
      log2_entries: T is at most 2**log2_entries.
      features: C, features of an entry. One would compile to slow atomics on a GPU.
      active: leading levels that `encode` reads; 0 reads all. The table has all.
    """

    levels: int
    coarsest: int
    finest: int
    log2_entries: int
    features: int = 2
    active: int = 0


class _Levels(NamedTuple):
    """Per level, [L] each: cells per axis, first row, row strides, whether dense."""

    cells: np.ndarray
    first: np.ndarray
    strides: np.ndarray  # [L, 3]
    dense: np.ndarray


@functools.cache
def _levels(spec: GridSpec) -> tuple[_Levels, int]:
    """The levels that are read, and the rows of the table."""
    steps = max(spec.levels - 1, 1)
    growth = (spec.finest / spec.coarsest) ** (1 / steps)
    cells = [round(spec.coarsest * growth**level) for level in range(spec.levels)]
    entries = 2**spec.log2_entries
    sizes = [min((n + 1) ** 3, entries) for n in cells]
    cells = np.array(cells, np.uint32)
    one = np.ones_like(cells)
    levels = _Levels(
        cells=cells,
        first=np.cumsum([0, *sizes[:-1]]).astype(np.uint32),
        strides=np.stack([one, cells + 1, (cells + 1) ** 2], axis=-1),
        dense=np.array([(int(n) + 1) ** 3 <= entries for n in cells]),
    )
    active = slice(spec.active or None)
    return _Levels(*(each[active] for each in levels)), sum(sizes)


def table_shape(spec: GridSpec) -> tuple[int, int]:
    """Shape of the flat table: rows of all levels, C."""
    return _levels(spec)[1], spec.features


def level_cells(spec: GridSpec) -> list[int]:
    """Cells along an axis of each level that is read."""
    return [int(n) for n in _levels(spec)[0].cells]


def dense_cells(spec: GridSpec) -> list[int]:
    """Cells along an axis of the leading levels that are stored without hashing.

    A level of n cells has (n + 1)**3 rows, x varying fastest, then y, then z.
    """
    levels, _ = _levels(spec)
    count = spec.levels if levels.dense.all() else int(np.argmin(levels.dense))
    return [int(n) for n in levels.cells[:count]]


class _Cells(NamedTuple):
    """The cells that points are in; both can be indexed by an axis.

    Attributes:
      index: uint32, number of the cell along the axis.
      fraction: place in the cell, 0 to 1.
    """

    index: Any
    fraction: Any


def _cells(coordinates: Array, level: _Levels) -> _Cells:
    """Cells of coordinates in [0, 1] along an axis; levels are scalars or columns."""
    scale = jnp.asarray(level.cells, coordinates.dtype)
    return _cells_at(coordinates * scale, scale)


def _cells_at(position: Array, scale: Array) -> _Cells:
    # The last cell is closed: a point on the far face belongs to it.
    cell = jnp.minimum(jnp.floor(position), scale - 1)
    return _Cells(cell.astype(jnp.uint32), position - cell)


def _cells_by_axis(points: Array, level: _Levels) -> _Cells:
    """Cells of points [3, ..., P] in the unit cube; fields are lists of 3 arrays."""
    each = [_cells(points[axis], level) for axis in range(3)]
    return _Cells([one.index for one in each], [one.fraction for one in each])


def _cells_at_once(points: Array, level: _Levels) -> _Cells:
    """The same with the axes in one array, and points outside moved to the cube.

    A GPU then looks features up in one kernel. If axes were split, or points moved,
    before they are scaled, a kernel of its own would write them out first.
    """
    scale = trailing(jnp.asarray(level.cells, points.dtype), points)
    return _cells_at(jnp.clip(points * scale, 0, scale), scale)


def _corner(cells: _Cells, level: _Levels, corner: np.ndarray, entries: int):
    """Row, weight and the weight's derivatives of one corner.

    Args:
      cells: of the points.
      level: the same levels' scalars or columns.
      corner: [3] of 0 and 1.
      entries: 2**log2_entries.

    Returns:
      rows [..., P] uint32, weight [..., P], and its derivative by each axis, a list of
      three [..., P].
    """
    scale = jnp.asarray(level.cells, cells.fraction[0].dtype)
    sides, slopes, row_dense, row_hash = [], [], 0, 0
    for axis in range(3):
        fraction = cells.fraction[axis]
        side = corner[axis] == 1
        sides.append(fraction if side else 1 - fraction)
        slopes.append(scale if side else -scale)
        index = cells.index[axis] + corner[axis]
        row_dense = row_dense + index * level.strides[axis]
        row_hash = row_hash ^ (index * _PRIMES[axis])
    row = jnp.where(level.dense, row_dense, row_hash & np.uint32(entries - 1))
    weight = sides[0] * sides[1] * sides[2]
    derivatives = [
        slopes[0] * sides[1] * sides[2],
        slopes[1] * sides[0] * sides[2],
        slopes[2] * sides[0] * sides[1],
    ]
    return row + level.first, weight, derivatives


def _take(table: Array, rows: Array) -> Array:
    return table.at[rows].get(mode="promise_in_bounds")


def _features(table: Array, cells: _Cells, level: _Levels, entries: int) -> Array:
    total: Any = 0
    for corner in _CORNERS:
        rows, weight, _ = _corner(cells, level, corner, entries)
        total = total + weight[..., None] * _take(table, rows)
    return total


def _scalars(levels: _Levels) -> _Levels:
    """The levels as scan inputs: leading axis L, strides as [L, 3]."""
    return jax.tree.map(jnp.asarray, levels)


def _columns(levels: _Levels) -> _Levels:
    """The levels as columns [L, 1] that broadcast against [P]; strides as [3, L, 1]."""
    return _Levels(
        cells=levels.cells[:, None],
        first=levels.first[:, None],
        strides=levels.strides.T[..., None],
        dense=levels.dense[:, None],
    )


def _forward_scan(table: Array, points: Array, spec: GridSpec) -> Array:
    levels, _ = _levels(spec)
    points = jnp.clip(points, 0.0, 1.0)

    # Unrolled levels are faster alone, but if the caller transposes the axes, XLA fuses
    # the lookups into that transposition, in its slow order. It does not fuse a loop.
    def level_features(_, level):
        cells = _cells_by_axis(points, level)
        return None, _features(table, cells, level, 2**spec.log2_entries)

    return jax.lax.scan(level_features, None, _scalars(levels))[1]


def _forward_by_axis(table: Array, points: Array, spec: GridSpec, cells_of) -> Array:
    levels, _ = _levels(spec)
    columns = _columns(levels)
    cells = cells_of(points[:, None], columns)
    return _features(table, cells, columns, 2**spec.log2_entries)


def _forward(table: Array, points: Array, spec: GridSpec, cells_of) -> Array:
    return jax.lax.platform_dependent(
        table,
        points,
        cpu=functools.partial(_forward_scan, spec=spec),
        default=functools.partial(_forward_by_axis, spec=spec, cells_of=cells_of),
    )


def _backward_scan(table: Array, points: Array, cotangent: Array, spec: GridSpec):
    levels, _ = _levels(spec)
    entries = 2**spec.log2_entries

    def step(carry, inputs):
        d_table, d_axes = carry
        level, d_features = inputs  # d_features [P, C]
        cells, slopes = _cells_by_axis(points, level), [0, 0, 0]
        for corner in _CORNERS:
            rows, weight, derivatives = _corner(cells, level, corner, entries)
            d_table = d_table.at[rows].add(
                weight[:, None] * d_features, mode="promise_in_bounds"
            )
            # Rows are gathered again for each axis, in the form of the forward pass:
            # each is then one loop over contiguous [P, C], which XLA vectorises.
            found = _take(table, rows)
            slopes = [
                s + d[:, None] * found for s, d in zip(slopes, derivatives, strict=True)
            ]
        # Features are summed after the last level: a reduction inside the loop would
        # stop the gathers from fusing into it.
        d_axes = [d + s * d_features for d, s in zip(d_axes, slopes, strict=True)]
        return (d_table, d_axes), None

    start = jnp.zeros_like(table), [jnp.zeros_like(cotangent[0])] * 3
    (d_table, d_axes), _ = jax.lax.scan(step, start, (_scalars(levels), cotangent))
    return d_table, jnp.stack([jnp.sum(d, axis=-1) for d in d_axes])


def _backward_by_axis(table: Array, points: Array, cotangent: Array, spec: GridSpec):
    levels, _ = _levels(spec)
    columns = _columns(levels)
    cells = _cells_by_axis(points[:, None], columns)
    rows, weights, d_points = [], [], 0
    for corner in _CORNERS:
        row, weight, derivatives = _corner(cells, columns, corner, 2**spec.log2_entries)
        along = jnp.sum(_take(table, row) * cotangent, axis=-1)  # [L, P]
        d_points = d_points + jnp.stack(
            [jnp.sum(d * along, axis=0) for d in derivatives]
        )
        rows.append(row)
        weights.append(weight)
    updates = jnp.stack(weights)[..., None] * cotangent[None]
    d_table = (
        jnp.zeros_like(table).at[jnp.stack(rows)].add(updates, mode="promise_in_bounds")
    )
    return d_table, d_points


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def encode(table: Array, points: Array, spec: GridSpec) -> Array:
    """Features of points, interpolated trilinearly at every level.

    Args:
      table: [rows, C], see `table_shape`.
      points: [3, P] in the unit cube; points outside are moved to its faces, and get
        no gradient along the axis on which they were outside.
      spec: the grid's sizes.

    Returns:
      [L, P, C], of the active levels alone.
    """
    return _forward(table, points, spec, _cells_at_once)


def _encode_fwd(table, points, spec):
    # Axes are split as in the backward pass, so that XLA can share the rows.
    features = _forward(table, jnp.clip(points, 0.0, 1.0), spec, _cells_by_axis)
    return features, (table, points)


def _encode_bwd(spec, residuals, cotangent):
    table, points = residuals
    d_table, d_points = jax.lax.platform_dependent(
        table,
        jnp.clip(points, 0.0, 1.0),
        cotangent,
        cpu=functools.partial(_backward_scan, spec=spec),
        default=functools.partial(_backward_by_axis, spec=spec),
    )
    inside = (points >= 0) & (points <= 1)
    return d_table, jnp.where(inside, d_points, 0)


encode.defvjp(_encode_fwd, _encode_bwd)


def init_table(key: Array, spec: GridSpec, scale: float) -> Array:
    """A table [rows, C] of uniform values in [-scale, scale], for a random key []."""
    return jax.random.uniform(key, table_shape(spec), minval=-scale, maxval=scale)
