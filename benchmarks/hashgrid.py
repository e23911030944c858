"""How fast is the hash grid, beside two straightforward ways to write it?

    python -m benchmarks.hashgrid --points=65536

The grid of the README's 3D form (16 levels, two features, T = 2**15), at points along
rays as a renderer meets them: forward, gradient of the table, gradients of table and
points. The two baselines are plain differentiation of level after level, and one flat
gather of all corners of all levels. One JSON line, with the roofline: the bytes that
must be read and written at least, at the rate at which this machine copies memory.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import measure
from lokitalk_jax import hashgrid, process

SAMPLES = 16  # of a ray


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
    """Of one level: eight rows [8, P] and weights [8, P]."""
    position = points * cells
    cell = jnp.minimum(jnp.floor(position), cells - 1)
    fraction = position - cell
    rows, weights = [], []
    for corner in itertools.product((0, 1), repeat=3):
        index = cell.astype(jnp.uint32) + np.array(corner, np.uint32)[:, None]
        if dense:
            row = index[0] + (cells + 1) * (index[1] + (cells + 1) * index[2])
        else:
            row = index[0] ^ (index[1] * np.uint32(2654435761))
            row = (row ^ (index[2] * np.uint32(805459861))) & np.uint32(entries - 1)
        sides = [fraction[i] if corner[i] else 1 - fraction[i] for i in range(3)]
        rows.append(row.astype(jnp.uint32) + np.uint32(first))
        weights.append(sides[0] * sides[1] * sides[2])
    return jnp.stack(rows), jnp.stack(weights)


def _every_level(points, spec):
    levels, _ = hashgrid._levels(spec)
    return [
        _rows_and_weights(points, int(n), bool(dense), int(first), 2**spec.log2_entries)
        for n, dense, first in zip(
            levels.cells, levels.dense, levels.first, strict=True
        )
    ]


def unrolled(table, points, spec):
    """Level after level, corner after corner; JAX differentiates it."""
    features = []
    for rows, weights in _every_level(points, spec):
        total = 0
        for row, weight in zip(rows, weights, strict=True):
            found = table.at[row].get(mode="promise_in_bounds")
            total = total + weight[:, None] * found
        features.append(total)
    return jnp.stack(features)


def flat(table, points, spec):
    """One gather of all corners of all levels; JAX differentiates it."""
    rows, weights = (
        jnp.stack(x) for x in zip(*_every_level(points, spec), strict=True)
    )
    found = table.at[rows].get(mode="promise_in_bounds")  # [L, 8, P, C]
    return (weights[..., None] * found).sum(1)


FORMS = {"ours": hashgrid.encode, "unrolled": unrolled, "flat": flat}


def main(_) -> None:
    """Measures all forms in turns."""
    spec = hashgrid.GridSpec(16, 2, 16, 2048, _LOG2.value)
    table = hashgrid.init_table(jax.random.key(0), spec, 1e-2)
    points = ray_points(_POINTS.value)
    cotangent = jax.random.normal(
        jax.random.key(1), (spec.levels, _POINTS.value, spec.features)
    )

    def gradient(form, arguments):
        def pulled(table, points, cotangent):
            features, back = jax.vjp(lambda *x: form(*x, spec), table, points)
            return features, [back(cotangent)[i] for i in arguments]

        return pulled

    programs = {}
    for name, form in FORMS.items():
        run = (
            functools.partial(form, spec=spec)
            if form is not hashgrid.encode
            else (lambda table, points: hashgrid.encode(table, points, spec))
        )
        programs[f"{name}, forward"] = run, (table, points)
        both = (table, points, cotangent)
        programs[f"{name}, table"] = gradient(form, (0,)), both
        programs[f"{name}, table and points"] = gradient(form, (0, 1)), both
    found = measure.in_turns(programs, _ROUNDS.value)
    kinds = ("forward", "table", "table and points")
    ratios = {
        f"{kind}: {other} / ours": found[f"{other}, {kind}"].median_ms
        / found[f"ours, {kind}"].median_ms
        for kind in kinds
        for other in ("unrolled", "flat")
    }
    # Each corner is read once forwards, read once and added to twice over backwards.
    corners = spec.levels * 8 * _POINTS.value * spec.features * 4
    out = spec.levels * _POINTS.value * spec.features * 4
    least = {"forward": corners + out, "table and points": 5 * corners + 2 * out}
    peaks = measure.peaks()
    roofline = {
        kind: count / (peaks["copy_gb_s"] * 1e6) / found[f"ours, {kind}"].median_ms
        for kind, count in least.items()
    }
    measure.report(
        "hashgrid",
        points=_POINTS.value,
        grid=spec._asdict(),
        timings=measure.rounded(found),
        ratios={key: float(f"{value:.3g}") for key, value in ratios.items()},
        share_of_copy_rate={k: float(f"{v:.2g}") for k, v in roofline.items()},
        **peaks,
    )


if __name__ == "__main__":
    process.tune_memory()
    _POINTS = flags.DEFINE_integer("points", 65536, "Points.")
    _LOG2 = flags.DEFINE_integer("log2_entries", 15, "T = 2 ** this.")
    _ROUNDS = flags.DEFINE_integer("rounds", 20, "Runs of each form.")
    app.run(main)
