"""Is a voice fast enough for a stream, and does its memory stay constant?

    taskset -c 0 python -m benchmarks.hearing_speed --audio=talk.wav --minutes=10

Plays a sound file again and again into the package's voice, in pieces of --chunk
milliseconds, without rendering. One JSON line: seconds of work for a second of sound
(the real-time factor, of all and of the slowest second), and resident memory after each
minute with its slope over the second half.
"""

import json
import time

import numpy as np
from absl import app, flags

from benchmarks.live_speed import resident
from lokitalk_jax import process, structs
from lokitalk_jax.media import sound_file
from lokitalk_jax.speech import audio2motion, hearing, voice


def main(_) -> None:
    """Plays and measures."""
    one = voice.shipped(_HEARS.value)
    look_ahead = _LOOK_AHEAD.value / 1000
    state = hearing.begin(one.spec, look_ahead=look_ahead)
    sound = np.concatenate(list(sound_file.open_sound(_AUDIO.value).read()))
    size = _CHUNK.value * structs.AUDIO_RATE // 1000
    a_second = 1000 // _CHUNK.value
    seconds = round(_MINUTES.value * 60)
    state, _ = hearing.push(
        state, one.spec, sound[: 2 * structs.AUDIO_RATE]
    )  # compiles
    work, busy, memory, frames = [], [], [], 0
    for second in range(seconds):
        began, before = time.perf_counter(), time.process_time()
        for piece in range(a_second):
            first = (second * a_second + piece) * size
            samples = np.take(sound, np.arange(first, first + size), mode="wrap")
            state, inputs = hearing.push(state, one.spec, samples)
            frames += len(np.asarray(audio2motion.apply(one.params, inputs.windows)))
        work.append(time.perf_counter() - began)
        busy.append(time.process_time() - before)
        if (second + 1) % 60 == 0:
            memory.append(resident())
    played = a_second * _CHUNK.value / 1000
    half = memory[len(memory) // 2 :]
    slope = np.polyfit(np.arange(len(half)), half, 1)[0] if len(half) > 1 else None
    result = {
        "hears": _HEARS.value,
        "look_ahead_ms": 1000 * hearing.look_ahead(one.spec, look_ahead),
        "minutes": _MINUTES.value,
        "frames": frames,
        "real_time_factor": float(np.mean(work)) / played,
        "real_time_factor_of_cpu": float(np.mean(busy)) / played,
        "slowest_second": float(np.max(work)) / played,
        "resident_mb": [round(value, 1) for value in memory],
        "slope_mb_a_minute": slope,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    _AUDIO = flags.DEFINE_string("audio", None, "Speech, any sound or video file.")
    _HEARS = flags.DEFINE_enum(
        "hears", "whisper", ["whisper", "phones"], "Kind of the voice."
    )
    _LOOK_AHEAD = flags.DEFINE_float("look_ahead", 80.0, "Milliseconds, of whisper.")
    _MINUTES = flags.DEFINE_float("minutes", 10.0, "Of sound.")
    _CHUNK = flags.DEFINE_integer("chunk", 40, "Length of a piece, milliseconds.")
    flags.mark_flags_as_required(["audio"])
    process.start()
    app.run(main)
