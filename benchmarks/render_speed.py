"""How long does a frame take, and where does the time go?

    python -m benchmarks.render_speed --workdir=runs/me --sizes=64,128,256,512

Frames of a run at several sizes, from baked fields and exactly: one after another, two
at a time as bytes, and two at a time into a video. One JSON line for each size and way,
with milliseconds by the wall clock and of all cores, and of baked frames what differs
from exact ones.
"""

import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from lokitalk_jax import process
from lokitalk_jax.avatar import frame_stream, motion
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.media import image_grid, video_writer


class Cost(NamedTuple):
    """Of a frame.

    Attributes:
      wall_ms: by the clock.
      cpu_ms: of all cores of the process.
    """

    wall_ms: float
    cpu_ms: float


def cost(work: Iterator) -> Cost:
    """Cost of a frame of a generator, after its first two."""
    for _ in range(2):
        next(work)
    wall, cpu = [time.perf_counter()], time.process_time()
    wall.extend(time.perf_counter() for _ in work)
    frames = len(wall) - 1
    return Cost(
        1000 * (wall[-1] - wall[0]) / frames,
        1000 * (time.process_time() - cpu) / frames,
    )


def measure(
    avatar: OpenAvatar, frames: int
) -> tuple[dict[str, Cost], list[np.ndarray]]:
    """Costs of a frame by what is done with it, and the pictures."""
    plate = avatar.record.plate / np.float32(255)
    at = motion.back_and_forth(avatar.record.frame_count, frames + 2)
    moved = motion.tracked(avatar.record, at)
    pictures = []

    def alone():
        for pose, signals in moved.frames():
            maps = jax.block_until_ready(avatar.renderer(pose, signals, plate))
            pictures.append(np.asarray(maps.rgb))
            yield

    def to_bytes():
        for maps in frame_stream.render(avatar.renderer, moved.frames(), plate):
            yield image_grid.to_uint8(np.asarray(maps.rgb))

    def to_video(writer):
        for picture in to_bytes():
            writer.write(picture)
            yield

    costs = {"one after another": cost(alone()), "stream": cost(to_bytes())}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.mp4"
        shape = avatar.record.camera.shape[::-1]
        with video_writer.VideoWriter(path, size=shape) as writer:
            costs["stream into a video"] = cost(to_video(writer))
    return costs, pictures


def main(_) -> None:
    """Measures every size, both ways."""
    run = OpenRun(pathlib.Path(_WORKDIR.value))
    trained = run.avatar(run.named(_IDENTITY.value))
    for size in map(int, _SIZES.value):
        avatar = trained.at(size)
        ways = {"exact": avatar.exact(), "baked": avatar}
        pictures = {}
        for way, one in ways.items():
            if way == "exact" and not _EXACT.value:
                continue
            costs, pictures[way] = measure(one, _FRAMES.value)
            facts = {name: _rounded(found) for name, found in costs.items()}
            if len(pictures) == 2:
                facts |= difference(pictures["baked"], pictures["exact"])
            timing.report(
                "render_speed", size=size, way=way, frames=_FRAMES.value, **facts
            )


def difference(one: list[np.ndarray], other: list[np.ndarray]) -> dict[str, float]:
    """PSNR between two renderings, and the pixels that are off by more than 1/255."""
    errors = np.abs(np.stack(one) - np.stack(other))
    return {
        "psnr_to_exact": float(-10 * np.log10(np.mean(errors**2) + 1e-12)),
        "pixels_off": float(np.mean(errors.max(axis=-1) > 1 / 255)),
    }


def _rounded(found: Cost) -> dict[str, float]:
    return {name: float(f"{ms:.4g}") for name, ms in found._asdict().items()}


if __name__ == "__main__":
    process.tune_memory()
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run.", required=True)
    _IDENTITY = flags.DEFINE_string("identity", None, "Identity to render.")
    _SIZES = flags.DEFINE_list(
        "sizes", ["64", "128", "256", "512"], "Longest sides, pixels."
    )
    _FRAMES = flags.DEFINE_integer("frames", 10, "Frames that count.")
    _EXACT = flags.DEFINE_bool("exact", True, "Whether exact frames are rendered too.")
    app.run(main)
