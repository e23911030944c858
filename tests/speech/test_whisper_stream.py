"""Features of Whisper in a stream: pieces, look-ahead, memory, agreement with files."""

import numpy as np
import pytest

from lokitalk_jax.speech import (
    whisper,
    whisper_files,
    whisper_stream,
    whisper_weights,
)
from tests.speech import whisper_model
from tests.speech.test_sound_features import babble

OFFSETS = np.arange(-6, 5)
PARAMS = whisper_weights._nested(
    whisper_files._from_openai(whisper_model.state(), layers=2)
)


def streamed(samples, sizes, look_ahead=0.08, params=PARAMS):
    """Rows of sound that arrives in pieces, and the largest number of samples kept."""
    state, found, at, largest = whisper_stream.begin(params), [], 0, 0
    for size in sizes:
        piece, at = samples[at : at + size], at + size
        state, rows = whisper_stream.push(state, params, piece, OFFSETS, look_ahead)
        found.append(rows)
        largest = max(largest, len(state.samples))
    last = samples[at:]
    rows = whisper_stream.push(state, params, last, OFFSETS, look_ahead, last=True)[1]
    return np.concatenate([*found, rows]), largest


@pytest.mark.parametrize("look_ahead", [0.04, 0.2])
def test_pieces_give_the_rows_of_the_whole(look_ahead):
    samples = babble(2.0)
    whole, _ = streamed(samples, [], look_ahead)
    assert whole.shape == (50, len(OFFSETS), whisper_model.WIDTH)
    sizes = np.random.default_rng(0).integers(1, 2500, 20)
    pieces, _ = streamed(samples, sizes, look_ahead)
    np.testing.assert_array_equal(pieces, whole)


def test_a_frame_waits_for_its_look_ahead_only():
    samples = babble(2.0)
    later = samples.copy()
    later[16_000:] = 0.3
    found, changed = (streamed(one, [])[0] for one in (samples, later))
    # Frame 23 stands at 0.92 s, and hears until 1 s.
    np.testing.assert_array_equal(found[:24], changed[:24])
    assert np.abs(found[24] - changed[24]).max() > 1e-3
    state = whisper_stream.begin(PARAMS)
    state, rows = whisper_stream.push(state, PARAMS, samples[:16_000], OFFSETS, 0.08)
    assert len(rows) == 24


def test_memory_does_not_grow():
    samples = babble(2.0)
    _, short = streamed(samples, [800] * 39)
    _, long = streamed(np.tile(samples, 3), [800] * 119)
    assert long <= short + 800 < 20_000


def test_short_sound_has_its_frames():
    for count in (0, 1, 639, 641):
        rows, _ = streamed(babble()[:count], [])
        assert len(rows) == -(-count // 640) and np.isfinite(rows).all()


def test_a_stream_has_nearly_the_features_of_the_file():
    if whisper_weights._installed() is None:
        pytest.skip("the extra lokitalk-jax[whisper] is not installed")
    params = whisper_weights.read(whisper_weights._installed())
    samples = babble(4.0)
    whole = whisper.features(params, samples)
    found, _ = streamed(samples, [], 0.5, params)
    middle = found[:, 6] - whole.mean(0)
    true = whole[::2] - whole.mean(0)
    cosine = (middle * true).sum() / np.sqrt((middle**2).sum() * (true**2).sum())
    assert cosine > 0.9


def test_long_recordings_are_encoded_in_blocks():
    samples = babble(2.0)
    long = np.tile(samples, 17)  # 34 s, longer than a block
    found = whisper.features(PARAMS, long)
    assert found.shape == (1700, whisper_model.WIDTH)
    block = whisper.encode(PARAMS, whisper.log_mel(long[: 30 * 16_000]))
    np.testing.assert_allclose(found[:1300], block[:1300], atol=1e-4)
    assert np.isfinite(found).all()
