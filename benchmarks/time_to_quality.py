r"""How many seconds of training until an avatar is good, and how fast does it render?

    python -m benchmarks.time_to_quality --data=data/me --preset=full_gpu --minutes=3
    python -m benchmarks.time_to_quality --data=data/me --prior=runs/prior \
        --max_seconds=5

Trains one identity, from scratch or from a prior, and scores held-out frames on the way
(PSNR of frame and head; needs no face tracker). Seconds are wall time of training
alone, without compiling and scoring. One JSON line with the curve, the seconds until
95% of the last PSNR, steps a second, frames a second with the final parameters (tile by
tile, and in one tile), and the device's peak memory.
"""

import time
from unittest import mock

import jax
import numpy as np
from absl import app, flags

from benchmarks import held_out_scores, timing
from benchmarks.learning_curve import cost_to
from benchmarks.timed_training import TimedTraining
from configs import adapt, single_id
from lokitalk_jax import process
from lokitalk_jax.avatar import frame_stream, frames, motion
from lokitalk_jax.avatar.run import OpenAvatar
from lokitalk_jax.training.session import Session, build_session

_TIMED_FRAMES = 40  # rendered for frames a second, after two
# Steps between two looks at the clock, since waiting for each would slow them down.
_TOGETHER = 10


def frames_per_second(avatar: OpenAvatar) -> float:
    """Frames rendered and brought to the host, one after the other."""
    at = motion.back_and_forth(avatar.record.frame_count, _TIMED_FRAMES + 2)
    plate = avatar.record.plate / np.float32(255)
    moved = motion.tracked(avatar.record, at).frames()
    for index, maps in enumerate(frame_stream.render(avatar.renderer, moved, plate)):
        np.asarray(maps.rgb)
        if index == 1:
            began = time.perf_counter()
    return _TIMED_FRAMES / (time.perf_counter() - began)


def frames_per_second_in_one_tile(avatar: OpenAvatar) -> float:
    """The same with all rays of a frame in one tile."""
    jax.clear_caches()  # the size of tiles is no argument of the compiled program
    with mock.patch.object(frames, "_tile", lambda rays: rays):
        found = frames_per_second(avatar)
    jax.clear_caches()
    return found


def train(session: Session, minutes: float) -> tuple[list[dict], OpenAvatar]:
    """Trains to the last step, or for some minutes.

    Returns:
      the curve, dicts of "seconds", "step" and PSNR, and the avatar.
    """
    training, last = TimedTraining(session), session.config.train.steps
    curve, mark = [], 0.0
    while True:
        ends = training.step == last or training.seconds > 60 * minutes
        if training.seconds >= mark or ends:
            avatar = training.avatar()
            point = {"seconds": training.seconds, "step": training.step}
            curve.append(point | held_out_scores.psnr(avatar, training.data))
            mark = max(1.4 * training.seconds, 1.0)
        if ends:
            training.close()
            return curve, avatar
        training.run(min(_TOGETHER, last - training.step))


def main(_) -> None:
    """Trains, scores, renders."""
    config = (adapt if _PRIOR.value else single_id).get_config(_PRESET.value)
    config.prior, config.data.root = _PRIOR.value, _DATA.value
    config.start = "mean"
    config.data.max_seconds = _MAX_SECONDS.value
    config.data.size = _SIZE.value or config.data.size
    config.train.steps = _STEPS.value or config.train.steps
    config.train.perceptual = 0.0
    curve, avatar = train(build_session(config), _MINUTES.value)
    steps = curve[-1]["step"]
    memory = jax.local_devices()[0].memory_stats() or {}
    peak = memory.get("peak_bytes_in_use", 0) / 1e6
    timing.report(
        "time_to_quality",
        preset=config.preset,
        start="prior" if _PRIOR.value else "scratch",
        size=config.data.size,
        video_seconds=_MAX_SECONDS.value,
        steps=steps,
        steps_per_second=steps / curve[-1]["seconds"],
        seconds_to_95_percent=cost_to(
            curve, 0.95 * curve[-1]["frame"], "frame", "seconds"
        ),
        frames_per_second=frames_per_second(avatar),
        frames_per_second_in_one_tile=frames_per_second_in_one_tile(avatar),
        device_peak_mb=peak,
        curve=[{k: round(float(v), 2) for k, v in one.items()} for one in curve],
    )


if __name__ == "__main__":
    process.tune_memory()
    _DATA = flags.DEFINE_string("data", None, "An identity folder.", required=True)
    _PRIOR = flags.DEFINE_string("prior", "", "A run to start from.")
    _PRESET = flags.DEFINE_string("preset", "", "See presets.py.")
    _SIZE = flags.DEFINE_integer("size", 0, "Longest side, pixels; the preset's.")
    _STEPS = flags.DEFINE_integer("steps", 0, "Of the schedule; the preset's.")
    _MINUTES = flags.DEFINE_float("minutes", 3.0, "Of training at most.")
    _MAX_SECONDS = flags.DEFINE_float("max_seconds", 0.0, "Of video; 0 takes all.")
    app.run(main)
