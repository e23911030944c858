"""The WAV files of identity folders and runs."""

import tracemalloc

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media import clip_sound

MINUTE = 60 * structs.AUDIO_RATE


def test_long_sound_is_written_a_minute_at_a_time(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-1.2, 1.2, 5 * MINUTE // 2)
    samples = samples.astype(np.float32)
    tracemalloc.start()
    try:
        clip_sound.write(path, samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * samples.itemsize * MINUTE
    found = clip_sound.samples(path)
    np.testing.assert_allclose(found, samples.clip(-1, 1), atol=1e-4)
