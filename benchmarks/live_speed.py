"""Does a live avatar keep up with speech, and does its memory stay constant?

    python -m benchmarks.live_speed --workdir=runs/me --minutes=10

Plays the sound of the identity's own clip again and again into a live avatar, in pieces
of --chunk milliseconds, and writes one JSON line: seconds of work for a second of
sound, the latency (look-ahead, length of a piece, work on a frame), and resident memory
after each minute with its slope over the second half.
"""

import json
import pathlib
import resource
import time

import numpy as np
from absl import app, flags
from tqdm import tqdm

import lokitalk_jax as lokitalk
from lokitalk_jax import process, structs
from lokitalk_jax.speech import spoken_clip


def resident(process: int | str = "self") -> float:
    """Memory that a process holds now, by default this one, MB; Linux only."""
    pages = int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def slope(values: list[float]) -> float | None:
    """Growth from one value to the next in the second half; None for too few."""
    half = values[len(values) // 2 :]
    return float(np.polyfit(np.arange(len(half)), half, 1)[0]) if half[1:] else None


def main(_) -> None:
    """Plays and measures."""
    run = lokitalk.Run(_WORKDIR.value)
    avatar = run.avatar(_IDENTITY.value, _SIZE.value)
    live = avatar.live()
    sound = spoken_clip.samples(spoken_clip.of_record(avatar.rendered.record))
    size = _CHUNK.value * structs.AUDIO_RATE // 1000
    chunks = round(_MINUTES.value * 60 * structs.AUDIO_RATE / size)
    live.push(sound[: structs.AUDIO_RATE])  # compiles

    work, memory, frames, next_minute = [], [resident()], 0, 60.0
    for i in tqdm(range(chunks), "streaming", unit="piece"):
        chunk = np.take(sound, np.arange(i * size, (i + 1) * size), mode="wrap")
        began = time.perf_counter()
        frames += len(live.push(chunk))
        work.append(time.perf_counter() - began)
        if (i + 1) * _CHUNK.value / 1000 >= next_minute:
            memory.append(resident())
            next_minute += 60
    one_frame = np.median(work) / max(frames / chunks, 1e-9)
    result = {
        "size": _SIZE.value or run.config.data.size,
        "minutes": _MINUTES.value,
        "frames": frames,
        "work_per_second_of_sound": sum(work) / (_MINUTES.value * 60),
        "algorithmic_latency_ms": 1000 * live.latency,
        "chunk_ms": _CHUNK.value,
        "work_per_frame_ms": 1000 * float(one_frame),
        "resident_mb": [round(value, 1) for value in memory],
        "slope_mb_per_minute": slope(memory),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", None, "A run with a voice.")
    _IDENTITY = flags.DEFINE_string("identity", None, "Identity to render.")
    _SIZE = flags.DEFINE_integer("size", None, "Longest side, pixels; as trained.")
    _MINUTES = flags.DEFINE_float("minutes", 10.0, "Of sound.")
    _CHUNK = flags.DEFINE_integer("chunk", 80, "Length of a piece, milliseconds.")
    flags.mark_flag_as_required("workdir")
    process.start()
    app.run(main)
