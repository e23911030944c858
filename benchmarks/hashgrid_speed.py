"""How fast is the hash grid, compared with two straightforward ways to write it?

    python -m benchmarks.hashgrid_speed --points=65536

A grid of 16 levels, two features and T = 2**15, at points along rays as a renderer
meets them: forward, gradient of the table, gradients of table and points. The baselines
are plain differentiation of level after level, and one flat gather of all corners of
all levels. A third form is ER-NeRF's, three grids over pairs of axes, written like the
first baseline: twelve corners a level instead of eight, in tables of the same size. One
JSON line, with the roofline: the bytes that must at least be read and written, at the
rate at which this machine copies memory.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import timing
from lokitalk_jax import process
from lokitalk_jax.model import hashgrid

SAMPLES = 16  # of a ray
_PRIMES = np.array([1, 2654435761, 805459861], np.uint32)
_PLANES = (0, 1), (1, 2), (0, 2)


def ray_points(count: int) -> jax.Array:
    """Points [3, count] of the unit cube along rays that fan out from a camera."""
    rng = np.random.default_rng(0)
    rays = -(-count // SAMPLES)
    start = np.array([0.5, 0.5, -2.0]) + rng.uniform(-0.02, 0.02, (rays, 3))
    end = np.concatenate([rng.uniform(0.05, 0.95, (rays, 2)), np.ones((rays, 1))], 1)
    depth = np.sort(rng.uniform(0.7, 1.0, (rays, SAMPLES)), axis=1)[..., None]
    points = start[:, None] + depth * (end - start)[:, None]
    return jnp.asarray(points.reshape(-1, 3)[:count].T, jnp.float32)


def _rows_and_weights(points, cells, dense, first, entries):
    """Of one level at points [D, P]: rows and weights [2**D, P] of the corners."""
    position = points * cells
    cell = jnp.minimum(jnp.floor(position), cells - 1)
    fraction = position - cell
    rows, weights = [], []
    for corner in itertools.product((0, 1), repeat=len(points)):
        index = cell.astype(jnp.uint32) + np.array(corner, np.uint32)[:, None]
        if dense:
            row = sum(x * np.uint32((cells + 1) ** i) for i, x in enumerate(index))
        else:
            spread = [x * prime for x, prime in zip(index, _PRIMES, strict=False)]
            row = functools.reduce(jnp.bitwise_xor, spread) & np.uint32(entries - 1)
        sides = [f if side else 1 - f for f, side in zip(fraction, corner, strict=True)]
        rows.append(row + np.uint32(first))
        weights.append(functools.reduce(jnp.multiply, sides))
    return jnp.stack(rows), jnp.stack(weights)


def _every_level(points, spec):
    """Rows and weights of every level, and how many rows a table has."""
    entries, first, found = 2**spec.log2_entries, 0, []
    for n in hashgrid._levels(spec)[0].cells.tolist():
        whole = (n + 1) ** len(points)
        found.append(_rows_and_weights(points, n, whole <= entries, first, entries))
        first += min(whole, entries)
    return found, first


def unrolled(table, points, spec):
    """Level after level, corner after corner; JAX differentiates it."""
    features = []
    for rows, weights in _every_level(points, spec)[0]:
        total = 0
        for row, weight in zip(rows, weights, strict=True):
            found = table.at[row].get(mode="promise_in_bounds")
            total = total + weight[:, None] * found
        features.append(total)
    return jnp.stack(features)


def flat(table, points, spec):
    """One gather of all corners of all levels; JAX differentiates it."""
    rows, weights = (
        jnp.stack(x) for x in zip(*_every_level(points, spec)[0], strict=True)
    )
    found = table.at[rows].get(mode="promise_in_bounds")  # [L, 8, P, C]
    return (weights[..., None] * found).sum(1)


def planes(tables, points, spec):
    """Features of three grids [3, rows, C] over pairs of axes, [L, P, 3 C]."""
    found = [
        unrolled(table, points[jnp.array(pair)], spec)
        for table, pair in zip(tables, _PLANES, strict=True)
    ]
    return jnp.concatenate(found, axis=-1)


FORMS = {
    "ours": hashgrid.encode,
    "unrolled": unrolled,
    "flat": flat,
    "planes": planes,
}


def main(_) -> None:
    """Measures all forms in turns."""
    spec = hashgrid.GridSpec(16, 16, 2048, _LOG2.value)
    points = ray_points(_POINTS.value)

    def gradient(form, arguments):
        def pulled(table, points, cotangent):
            features, back = jax.vjp(lambda *x: form(*x, spec), table, points)
            return features, [back(cotangent)[i] for i in arguments]

        return pulled

    programs = {}
    for name in _FORMS.value:
        form = FORMS[name]
        shape = hashgrid.table_shape(spec)
        if form is planes:
            shape = 3, _every_level(points[:2], spec)[1], spec.features
        table = 1e-2 * jax.random.normal(jax.random.key(0), shape)

        def forward(table, points, form=form):
            return form(table, points, spec)

        found = jax.eval_shape(forward, table, points)
        cotangent = jax.random.normal(jax.random.key(1), found.shape)
        programs[f"{name}, forward"] = forward, (table, points)
        both = (table, points, cotangent)
        programs[f"{name}, table"] = gradient(form, (0,)), both
        programs[f"{name}, table and points"] = gradient(form, (0, 1)), both
    found = timing.in_turns(programs, _ROUNDS.value)
    kinds = ("forward", "table", "table and points")
    ratios = {
        f"{kind}: {other} / ours": found[f"{other}, {kind}"].median_ms
        / found[f"ours, {kind}"].median_ms
        for kind in kinds
        for other in _FORMS.value
        if other != "ours"
    }
    # Each corner is read once forwards, read once and added to twice over backwards.
    corners = spec.levels * 8 * _POINTS.value * spec.features * 4
    out = spec.levels * _POINTS.value * spec.features * 4
    least = {"forward": corners + out, "table and points": 5 * corners + 2 * out}
    peaks = timing.peaks()
    roofline = {
        kind: count / (peaks["copy_gb_s"] * 1e6) / found[f"ours, {kind}"].median_ms
        for kind, count in least.items()
    }
    timing.report(
        "hashgrid_speed",
        points=_POINTS.value,
        grid=spec._asdict(),
        timings=timing.rounded(found),
        ratios={key: float(f"{value:.3g}") for key, value in ratios.items()},
        share_of_copy_rate={k: float(f"{v:.2g}") for k, v in roofline.items()},
        **peaks,
    )


if __name__ == "__main__":
    process.tune_memory()
    _POINTS = flags.DEFINE_integer("points", 65536, "Points.")
    _LOG2 = flags.DEFINE_integer("log2_entries", 15, "T = 2 ** this.")
    _FORMS = flags.DEFINE_list("forms", list(FORMS), "Which; ours among them.")
    _ROUNDS = flags.DEFINE_integer("rounds", 20, "Runs of each form.")
    app.run(main)
