"""How thick are the surfaces of a trained field, and how many samples do they need?

    python -m benchmarks.depth_spread --workdir=runs/me

Rays of some held-out frames, rendered exactly. Depth spread is the standard deviation
of the places of 48 samples along a ray, weighted as in volume rendering, in
millimetres; its median over opaque rays, all and by region. PSNR is that of the same
rays with fewer samples. Prints one JSON line.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import held_out_scores, measured_run
from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.references import spread
from lokitalk_jax.model import nerf, rays
from lokitalk_jax.structs import REGIONS, UNIT

_SAMPLES = (4, 6, 8, 12, 24, 48)  # the last one measures the spread
_OPAQUE = 0.95
_RAYS, _AT_ONCE = 16_384, 4_096  # of a frame, and of them rendered at once


def _pixels(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Row and column of random pixels, [2, R]."""
    count = min(_RAYS, shape[0] * shape[1]) // _AT_ONCE * _AT_ONCE
    chosen = rng.choice(shape[0] * shape[1], count, replace=False)
    return np.stack(np.unravel_index(chosen, shape))


@functools.partial(jax.jit, static_argnums=0)
def _render(model, params, pixels, intrinsics, pose, signals, plate):
    """Colours [R, 3], opacity [R], gates [R, 4] and depth spread [R], mm."""
    cast = rays.generate(pixels[None], intrinsics, pose[None])
    signals = jax.tree.map(lambda leaf: leaf[None], signals)
    rendered, found = nerf.render(model, params, cast, signals, plate[None])
    weights, places = found.weights[0], found.distances[0]
    total = jnp.sum(weights, axis=-1, keepdims=True) + 1e-6
    mean = jnp.sum(weights * places, axis=-1, keepdims=True) / total
    variance = jnp.sum(weights * (places - mean) ** 2, axis=-1) / total[:, 0]
    return (
        rendered.rgb[0],
        rendered.alpha[0],
        rendered.regions[0],
        1000 * UNIT * jnp.sqrt(variance),
    )


def measure(run: OpenRun, name: str, frames: int) -> dict:
    """Depth spread, and PSNR by samples, over some held-out frames."""
    record, params = run.record(name), run.params(name)
    data = held_out_scores.open_clip(run, record)
    rng = np.random.default_rng(0)
    errors = {samples: [] for samples in _SAMPLES}
    spreads, gates = [], []
    for index in spread(record.test_frames, frames):
        rows, columns = _pixels(rng, record.camera.shape)
        pose, signals = motion.tracked(record, [index]).frame(0)
        truth = data.frames[index][rows, columns] / np.float32(255)
        plate = record.plate[rows, columns] / np.float32(255)
        pixels = np.stack([columns, rows], axis=-1).astype(np.float32) + 0.5
        for samples in _SAMPLES:
            sampling = run.model.sampling._replace(samples=samples)
            model = run.model._replace(sampling=sampling)
            for first in range(0, len(pixels), _AT_ONCE):
                part = slice(first, first + _AT_ONCE)
                rgb, alpha, regions, widths = _render(
                    model,
                    params,
                    pixels[part],
                    record.camera.intrinsics,
                    pose,
                    signals,
                    plate[part],
                )
                errors[samples].append(np.mean((rgb - truth[part]) ** 2))
                if samples == _SAMPLES[-1]:
                    opaque = np.asarray(alpha) > _OPAQUE
                    spreads.append(np.asarray(widths)[opaque])
                    gates.append(np.asarray(regions)[opaque])
    widths, regions = np.concatenate(spreads), np.concatenate(gates)
    head, torso = (
        float(np.median(widths[regions[:, REGIONS.index(name)] > 0.5]))
        for name in ("head", "torso")
    )
    return {
        "depth_spread_mm": float(np.median(widths)),
        "depth_spread_head_mm": head,
        "depth_spread_torso_mm": torso,
    } | {
        f"frame_psnr_{samples}_samples": float(-10 * np.log10(np.mean(found)))
        for samples, found in errors.items()
    }


if __name__ == "__main__":
    measured_run.main("depth_spread", measure)
