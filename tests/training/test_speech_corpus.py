"""Speech corpora that were made elsewhere, edited by hand, or damaged."""

import numpy as np

from lokitalk_jax.training import speech_corpus


def test_the_nearest_time_is_found_in_long_recordings_too():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(1, 20, 60))
    grid = np.arange(550) / 25  # begins before the times, and ends after them
    wanted = np.abs(grid[:, None] - times).min(1)
    np.testing.assert_array_equal(speech_corpus._apart(grid, times), wanted)
    hours = np.arange(500_000) / 25
    np.testing.assert_allclose(speech_corpus._apart(hours, hours + 0.01), 0.01)
