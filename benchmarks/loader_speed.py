"""How fast is the loader, compared with decoding a step's frames from disk?

    python -m benchmarks.loader_speed --data=data/demo/demo_00 --size=64

As in training: threads read ahead, and each batch is put on the device, as fast as
batches come. The baseline decodes and resizes the frames of each step and samples
pixels evenly, which costs less than by importance. Both run in turns, for each number
of threads. The loader's resized frames are made in a temporary folder
(`opening_s`). All files are in memory by then, so no disk is measured. One JSON line.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from unittest import mock

import cv2
import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from lokitalk_jax import base_config, process
from lokitalk_jax.data import frame_cache, regions
from lokitalk_jax.data.layout import HEAD, TORSO
from lokitalk_jax.data.loader import Loader
from lokitalk_jax.structs import Batch
from lokitalk_jax.training import batches
from lokitalk_jax.training.training_set import load_training_set


class PlainLoader(Loader):
    """Keeps nothing between steps: reads and resizes the frames that a step needs."""

    def batch(self, step: int) -> Batch:
        """The batch of `step`, of the contents that the real loader's has."""
        batch = self._empty()
        b, r = self._drawing.frames, self._drawing.rays
        for slot, data in enumerate(self.datasets):
            rng = np.random.default_rng([step, slot])
            frames = rng.choice(data.train_frames, b)
            column = rng.integers(0, data.camera.width, (b, r))
            row = rng.integers(0, data.camera.height, (b, r))
            pixels = np.stack([column, row], -1).astype(np.float32) + 0.5
            for k, index in enumerate(frames):
                parts = _decoded(data, index)
                rgb, mask, shares = (x[row[k], column[k]] / 255 for x in parts)
                batch.rgb[slot, k], batch.alpha[slot, k] = rgb, mask
                batch.regions[slot, k, :, 2:] = shares
            batch.pixels[slot] = pixels
            batch.plate[slot] = data.plate[row, column] / np.float32(255)
            batch.regions[slot, ..., :2] = regions.ellipses(data.shapes, frames, pixels)
            batch.intrinsics[slot] = data.camera.intrinsics
            batch.head_to_camera[slot] = data.tracks.head_to_camera[frames]
            for into, leaf in zip(batch.signals, self._signals[data.name], strict=True):
                into[slot] = leaf[frames]
            batch.weight[slot] = 1
        return batch


def _decoded(data, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame uint8 [H, W, 3], its mask [H, W] and regions [H, W, 2], at H x W."""

    def small(image: np.ndarray) -> np.ndarray:
        size = data.camera.width, data.camera.height
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    folder = data.folder
    labels, mask = folder.labels(index), small(folder.mask(index))
    shares = [small((labels == k).astype(np.float32)) for k in (HEAD, TORSO)]
    rgb = small(folder.frame(index))
    return rgb, mask, regions.soften(np.stack(shares, -1), mask)


def taken(source: Iterator, skipped: int, length: float) -> list[float]:
    """Seconds of each batch for so long, after the first ones, which fill the queue."""
    for _ in range(skipped):
        next(source)
    seconds, end = [], time.perf_counter() + length
    while (began := time.perf_counter()) < end:
        jax.block_until_ready(next(source))
        seconds.append(time.perf_counter() - began)
    source.close()
    return seconds


def summary(seconds: Sequence[float], rays: int) -> dict[str, float]:
    """Times of batches; some come at once, so rates are of the whole time."""
    rate = len(seconds) / sum(seconds)
    return {
        "median_ms": float(f"{1000 * np.median(seconds):.3g}"),
        "p90_ms": float(f"{1000 * np.percentile(seconds, 90):.3g}"),
        "batches_per_second": float(f"{rate:.4g}"),
        "rays_per_second": float(f"{rate * rays:.4g}"),
    }


def main(_) -> None:
    """Measures both loaders in turns, for each number of threads."""
    config = base_config.get_config("draft_cpu")
    config.data.update(root=_DATA.value, size=_SIZE.value)
    config.data.update(frames_per_step=_FRAMES.value, rays_per_frame=_RAYS.value)
    rays, skipped = _FRAMES.value * _RAYS.value, 2 * config.data.prefetch
    kinds = {"ours": Loader, "plain": PlainLoader}
    with tempfile.TemporaryDirectory() as folder:
        config.data.cache = folder
        began = time.perf_counter()
        training_set = load_training_set(config)
        opening = time.perf_counter() - began
        data, timings, ratios = training_set.datasets[0], {}, {}
        same = (_decoded(data, 0)[0] == data.images[0, ..., frame_cache.RGB]).all()
        for threads in map(int, _THREADS.value):
            config.data.threads = threads
            seconds = {name: [] for name in kinds}
            for _ in range(_ROUNDS.value):
                for name, kind in kinds.items():
                    with mock.patch.object(batches, "Loader", kind):
                        source = batches.Batches(
                            config, training_set, training_set.signals
                        ).iterate(0)
                    seconds[name] += taken(source, skipped, _SECONDS.value)
            found = {name: summary(each, rays) for name, each in seconds.items()}
            timings |= {f"{name}, {threads} threads": x for name, x in found.items()}
            ratio = np.divide(*(found[n]["batches_per_second"] for n in kinds))
            ratios[f"{threads} threads"] = float(f"{ratio:.3g}")
    timing.report(
        "loader_speed",
        identities=len(training_set.names),
        pixels=[data.camera.height, data.camera.width],
        folder_pixels=[data.folder.meta.height, data.folder.meta.width],
        frames=_FRAMES.value,
        rays=rays,
        seconds=_SECONDS.value * _ROUNDS.value,
        opening_s=opening,
        same_colours=bool(same),
        timings=timings,
        plain_over_ours=ratios,
    )


if __name__ == "__main__":
    process.tune_memory()
    _DATA = flags.DEFINE_string("data", "data/demo/demo_00", "An identity folder.")
    _SIZE = flags.DEFINE_integer("size", 64, "Longest side, pixels.")
    _FRAMES = flags.DEFINE_integer("frames", 4, "Frames of a step.")
    _RAYS = flags.DEFINE_integer("rays", 96, "Rays of a frame.")
    _THREADS = flags.DEFINE_list("threads", ["1", "2"], "Threads that read ahead.")
    _SECONDS = flags.DEFINE_float("seconds", 1.0, "Of a turn.")
    _ROUNDS = flags.DEFINE_integer("rounds", 4, "Turns of each loader.")
    app.run(main)
