"""Where does the preparation of a video spend its time?

    python -m benchmarks.preparation_speed --video=me.mp4 --seconds=4

The first seconds of a video are prepared in a temporary folder, and the functions that
the pipeline calls are timed from outside: milliseconds a frame of the identity. Loading
MediaPipe's models does not grow with the clip, so it is timed separately and subtracted
from its stages. A first preparation, which imports and compiles, does
not count (`first_s`). One JSON line.
"""

import collections
import contextlib
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
from absl import app, flags

from benchmarks import timing
from lokitalk_jax.data import face_geometry, layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.preparation import (
    faces,
    person_mask,
    pipeline,
    pose,
    source_sound,
    stages,
    survey,
    torso,
)
from lokitalk_jax.preparation.options import Options

# By stage, the functions that do its work; a method's owner is its class.
STAGES = {
    "loading models": [
        (faces.FaceDetector, "__init__"),
        (person_mask.PersonSegmenter, "__init__"),
    ],
    "survey": [(survey, "look")],
    "audio": [(source_sound, "read"), (FolderWriter, "write_sound")],
    "frames": [(stages, "write_frames")],
    "landmarks": [(stages, "find_landmarks")],
    "pose": [(pose, "track_poses")],
    "masks": [(stages, "write_masks")],
    "torso": [(stages, "register_torso"), (torso, "poses")],
    "lips and eyes": [(face_geometry, "lips_in_head_frame")],
    "plate": [(stages, "write_plate")],
    "preview": [(stages, "write_preview")],
}


class Stopwatch:
    """Adds up `seconds` by stage; those of an inner stage are not the outer one's.

    For one thread: what a stage spreads over threads counts as long as it waits.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        """`clock` returns seconds."""
        self.seconds = collections.defaultdict(float)
        self._clock = clock
        self._inner = []  # seconds of inner stages, of each stage that runs

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block."""
        began = self._clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            whole = self._clock() - began
            self.seconds[name] += whole - self._inner.pop()
            if self._inner:
                self._inner[-1] += whole

    def timed(self, name: str, function: Callable) -> Callable:
        """`function`, with its time counted for a stage."""

        def run(*arguments, **named):
            with self.stage(name):
                return function(*arguments, **named)

        return run


def prepared(options: Options) -> tuple[layout.Meta, dict[str, float]]:
    """Prepares the video once: what came of it, and seconds by stage."""
    watch = Stopwatch()
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory())
        for name, functions in STAGES.items():
            for owner, key in functions:
                run = watch.timed(name, getattr(owner, key))
                stack.enter_context(mock.patch.object(owner, key, run))
        with watch.stage("other"):
            meta = pipeline.prepare(
                _VIDEO.value,
                pathlib.Path(root) / "identity",
                options,
                _MODEL.value,
                _WORKERS.value,
            )
    return meta, watch.seconds


def main(_) -> None:
    """Prepares some times over, and prints medians."""
    options = Options(
        size=_SIZE.value, start=_START.value, end=_START.value + _SECONDS.value
    )
    _, first = prepared(options)
    metas, rounds = zip(*(prepared(options) for _ in range(_ROUNDS.value)), strict=True)
    meta, names = metas[0], [*STAGES, "other"]
    found = {n: float(np.median([one[n] for one in rounds])) for n in names}
    loading, whole = found.pop("loading models"), sum(found.values())
    each = {n: 1000 * s / meta.frame_count for n, s in found.items()}
    timing.report(
        "preparation_speed",
        pixels=[meta.height, meta.width],
        frames=meta.frame_count,
        rounds=_ROUNDS.value,
        workers=_WORKERS.value or os.cpu_count(),
        ms_a_frame={n: float(f"{x:.3g}") for n, x in each.items()},
        share={n: float(f"{x / whole:.2g}") for n, x in found.items()},
        whole_ms_a_frame=1000 * whole / meta.frame_count,
        loading_models_s=loading,
        first_s=sum(first.values()),
    )


if __name__ == "__main__":
    _VIDEO = flags.DEFINE_string("video", None, "A video.", required=True)
    _START = flags.DEFINE_float("start", 0.0, "Seconds into the video.")
    _SECONDS = flags.DEFINE_float("seconds", 4.0, "Length; 3 at least.")
    _SIZE = flags.DEFINE_integer("size", 512, "Longest side, pixels.")
    _MODEL = flags.DEFINE_string("model", None, "A FaceLandmarker model.")
    _WORKERS = flags.DEFINE_integer("workers", None, "Threads of the segmentation.")
    _ROUNDS = flags.DEFINE_integer("rounds", 1, "How often it is prepared.")
    app.run(main)
