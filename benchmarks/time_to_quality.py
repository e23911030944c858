r"""How many seconds of training until an avatar is good, and how fast does it render?

    python -m benchmarks.time_to_quality --data=data/me --preset=gpu --minutes=3
    python -m benchmarks.time_to_quality --data=data/me --prior=runs/prior \
        --max_seconds=5

Trains one identity, from scratch or from a prior, and scores held-out frames on the way
(PSNR of frame and head; needs no face tracker). Seconds are wall time of training
alone, without compiling and scoring. One JSON line with the curve, the seconds until
95% of the last PSNR, steps a second, frames a second with the final parameters (tile by
tile, and in one tile), and the device's peak memory.
"""

import itertools
import time
from unittest import mock

import jax
import numpy as np
from absl import app, flags

from benchmarks import timing
from configs import adapt, single_id
from lokitalk_jax import process
from lokitalk_jax.avatar import frames, motion, video_file
from lokitalk_jax.avatar import run as runs
from lokitalk_jax.data import references
from lokitalk_jax.evaluate.metrics.psnr import masked_psnr
from lokitalk_jax.structs import REGIONS
from lokitalk_jax.training import train_step
from lokitalk_jax.training.session import Session, build_session

_TEST_FRAMES = 12  # of the clip, evenly spread over the held-out ones
_TIMED_FRAMES = 40  # rendered for frames a second, after two


def reached(curve: list[dict], share: float) -> float | None:
    """Seconds until the frame's PSNR is a share of the last one, between marks by line.

    Args:
      curve: dicts with "seconds" and "frame", in order.
      share: of the last PSNR.
    """
    wanted = share * curve[-1]["frame"]
    if curve[0]["frame"] >= wanted:
        return curve[0]["seconds"]
    for one, other in itertools.pairwise(curve):
        if other["frame"] >= wanted:
            part = (wanted - one["frame"]) / (other["frame"] - one["frame"])
            return one["seconds"] + part * (other["seconds"] - one["seconds"])
    return None


def avatar_of(session: Session, state, record) -> runs.Avatar:
    """The person as a state has them."""
    params = train_step.avatar_params(state, 0)
    return runs.assemble(session.model, session.config, record, params)


def score(avatar: runs.Avatar, data) -> dict[str, float]:
    """PSNR of held-out frames, {"frame", "head"}, dB."""
    shown = references.spread(avatar.record.test_frames, _TEST_FRAMES)
    plate = avatar.record.plate / np.float32(255)
    moved = motion.tracked(avatar.record, shown).frames()
    drawn = video_file.stream(avatar.renderer, moved, plate)
    pictures = np.stack([np.clip(maps.rgb, 0, 1) for maps in drawn])
    truth = np.stack([np.float32(data.frames[i]) / 255 for i in shown])
    head = REGIONS.index("head")
    heads = np.stack([data.region_masks(i)[..., head] for i in shown])
    whole = np.ones_like(heads)
    return {
        "frame": masked_psnr(truth, pictures, whole),
        "head": masked_psnr(truth, pictures, heads),
    }


def frames_per_second(avatar: runs.Avatar) -> float:
    """Frames rendered and brought to the host, one after the other."""
    at = motion.back_and_forth(avatar.record.frame_count, _TIMED_FRAMES + 2)
    plate = avatar.record.plate / np.float32(255)
    moved = motion.tracked(avatar.record, at).frames()
    for index, maps in enumerate(video_file.stream(avatar.renderer, moved, plate)):
        np.asarray(maps.rgb)
        if index == 1:
            began = time.perf_counter()
    return _TIMED_FRAMES / (time.perf_counter() - began)


def frames_per_second_in_one_tile(avatar: runs.Avatar) -> float:
    """The same with all rays of a frame at once."""
    jax.clear_caches()  # the size of tiles is no argument of the compiled program
    with mock.patch.object(frames, "_tile", lambda rays: rays):
        found = frames_per_second(avatar)
    jax.clear_caches()
    return found


def train(session: Session, minutes: float, record, data):
    """Trains; returns the curve, the last state, and steps done."""
    source = session.batches.iterate(0)
    first = next(source)
    # Donated buffers are gone, so that compiling takes a copy.
    spare = jax.tree.map(lambda leaf: leaf.copy(), session.state)
    jax.block_until_ready(session.advance(spare, 0, first))
    state, seconds, curve, step = session.state, 0.0, [], 0
    batches = itertools.chain([first], source)
    mark, last = 1.0, session.config.train.steps
    while True:
        ends = step == last or seconds > 60 * minutes
        if not curve or seconds >= mark or ends:
            avatar = avatar_of(session, state, record)
            curve.append({"seconds": seconds, "step": step} | score(avatar, data))
            mark = max(1.4 * seconds, 1.0)
        if ends:
            source.close()
            return curve, avatar, step
        # Several steps at once, since waiting for each would slow them down.
        began = time.perf_counter()
        for _ in range(min(10, last - step)):
            state, _ = session.advance(state, step, next(batches))
            step += 1
        jax.block_until_ready(state)
        seconds += time.perf_counter() - began


def main(_) -> None:
    """Trains, scores, renders."""
    config = (adapt if _PRIOR.value else single_id).get_config(_PRESET.value)
    config.prior, config.data.root = _PRIOR.value, _DATA.value
    config.start = "mean"
    config.data.max_seconds = _MAX_SECONDS.value
    config.data.size = _SIZE.value or config.data.size
    config.train.steps = _STEPS.value or config.train.steps
    config.train.perceptual = 0.0
    session = build_session(config)
    (data,) = session.training_set.datasets
    record = session.training_set.record(data)
    curve, avatar, steps = train(session, _MINUTES.value, record, data)
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
        seconds_to_95_percent=reached(curve, 0.95),
        frames_per_second=frames_per_second(avatar),
        frames_per_second_in_one_tile=frames_per_second_in_one_tile(avatar),
        device_peak_mb=peak,
        curve=[{k: round(float(v), 2) for k, v in one.items()} for one in curve],
    )


if __name__ == "__main__":
    process.tune_memory()
    _DATA = flags.DEFINE_string("data", None, "An identity folder.", required=True)
    _PRIOR = flags.DEFINE_string("prior", "", "A run to start from.")
    _PRESET = flags.DEFINE_string("preset", "", "cpu or gpu; the backend's.")
    _SIZE = flags.DEFINE_integer("size", 0, "Longest side, pixels; the preset's.")
    _STEPS = flags.DEFINE_integer("steps", 0, "Of the schedule; the preset's.")
    _MINUTES = flags.DEFINE_float("minutes", 3.0, "Of training at most.")
    _MAX_SECONDS = flags.DEFINE_float("max_seconds", 0.0, "Of video; 0 takes all.")
    app.run(main)
