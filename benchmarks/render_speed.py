"""How many frames a second are rendered, and where does the time go?

    python -m benchmarks.render_speed --workdir=runs/me --sizes=64,96,128

Frames of a run at several sizes: rendering alone, and with copying to the host as bytes
and writing a video. One JSON line a size.
"""

import pathlib
import tempfile
import time

import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from lokitalk_jax import process
from lokitalk_jax.avatar import frame_stream, motion
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.media import image_grid, video_writer


def seconds_each(work, frames: int) -> float:
    """Seconds a frame of a generator, after its first two."""
    for index, _ in enumerate(work):
        if index == 1:
            began = time.perf_counter()
    return (time.perf_counter() - began) / (frames - 2)


def main(_) -> None:
    """Measures every size."""
    run = Run(pathlib.Path(_WORKDIR.value))
    trained = run.avatar(run.named(_IDENTITY.value))
    count = _FRAMES.value + 2
    for size in map(int, _SIZES.value):
        avatar = trained.at(size)
        plate = avatar.record.plate / np.float32(255)
        at = motion.back_and_forth(avatar.record.frame_count, count)
        moved = motion.tracked(avatar.record, at)

        def alone(avatar=avatar, plate=plate, moved=moved):
            for pose, signals in moved.frames():
                yield jax.block_until_ready(avatar.renderer(pose, signals, plate))

        def to_bytes(avatar=avatar, plate=plate, moved=moved):
            for maps in frame_stream.render(avatar.renderer, moved.frames(), plate):
                yield image_grid.to_uint8(np.asarray(maps.rgb))

        def to_video(writer, to_bytes=to_bytes):
            for picture in to_bytes():
                writer.write(picture)
                yield

        found = {
            "render": seconds_each(alone(), count),
            "and to bytes": seconds_each(to_bytes(), count),
        }
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.mp4"
            shape = avatar.record.camera.shape[::-1]
            with video_writer.VideoWriter(path, size=shape) as writer:
                found["and to a video"] = seconds_each(to_video(writer), count)
        timing.report(
            "render_speed",
            size=size,
            frames=_FRAMES.value,
            milliseconds={k: float(f"{1000 * v:.4g}") for k, v in found.items()},
            frames_per_second=1 / found["and to a video"],
        )


if __name__ == "__main__":
    process.tune_memory()
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run.", required=True)
    _IDENTITY = flags.DEFINE_string("identity", None, "Whom to render.")
    _SIZES = flags.DEFINE_list("sizes", ["64", "96", "128"], "Longest sides, pixels.")
    _FRAMES = flags.DEFINE_integer("frames", 20, "Frames that count.")
    app.run(main)
