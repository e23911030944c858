"""Lips of one identity: streaming, range, pauses and silence."""

import numpy as np
import pytest
import scipy.io.wavfile

from lokitalk_jax import structs
from lokitalk_jax.speech import hearing, lip_limits, lips, spoken_clip


def streamed(s, sound, sizes, limits=None):
    """Lips of a sound that arrives in pieces, and the largest state on the way."""
    limits = limits or s.limits
    state, found, at, largest = hearing.begin(s.voice.spec), [], 0, 0
    for size in sizes:
        state, new = lips.push(state, s.voice, limits, sound[at : at + size])
        largest = max(largest, len(state.rows) + len(state.features.samples))
        found.append(new)
        at += size
    rest = lips.push(state, s.voice, limits, sound[:0], last=True)[1]
    return np.concatenate([*found, rest]), largest


@pytest.mark.parametrize("size", [160, 700, 5000])
def test_streaming_gives_the_lips_of_the_whole(spoken_run, size):
    sound = spoken_run.sound
    pieces, _ = streamed(spoken_run, sound, [size] * (-(-len(sound) // size)))
    rows = spoken_clip.sound_features.features(sound)
    whole = lips.of_rows(spoken_run.voice, spoken_run.limits, rows, len(pieces))
    assert len(pieces) == np.ceil(len(sound) * structs.FPS / structs.AUDIO_RATE)
    np.testing.assert_allclose(pieces, whole, atol=1e-3)
    assert np.ptp(whole, axis=0).max() > 0.05


def test_state_does_not_grow_with_the_sound(spoken_run):
    once, twice = (
        streamed(spoken_run, np.tile(spoken_run.sound, n), [4000] * (6 * n))[1]
        for n in (2, 6)
    )
    assert twice <= once + 200


def test_lips_close_in_silence(spoken_run):
    silence = np.zeros(3 * structs.AUDIO_RATE // 2, np.float32)
    sound = np.concatenate([spoken_run.sound, silence])
    found, _ = streamed(spoken_run, sound, [len(sound)])
    np.testing.assert_allclose(found[-5], spoken_run.limits.closed, atol=1e-5)
    assert np.abs(found[:20] - spoken_run.limits.closed).max() > 0.05
    # They close slowly.
    closing = np.abs(np.diff(found[-25:], axis=0)).max(0)
    assert (closing <= np.ptp(found[-25:], axis=0) / 5 + 1e-6).all()


def test_lips_pause_as_the_identity_does(spoken_run, tmp_path):
    rate = structs.AUDIO_RATE
    pause = np.zeros(int(0.4 * rate), np.float32)
    sound = np.concatenate(
        [spoken_run.sound[:rate], pause, spoken_run.sound[rate : 2 * rate]]
    )
    path = tmp_path / "paused.wav"
    scipy.io.wavfile.write(path, rate, np.int16(sound * 32767))
    frames = np.arange(len(sound) * structs.FPS // rate)
    lip = np.random.default_rng(0).normal(0, 0.2, (len(frames), 3)).astype(np.float32)
    between = slice(25, 35)
    lip[between] = 1.5
    clip = spoken_run.clip._replace(audio=path, lip=lip, train_frames=frames)
    limits = lip_limits.of_clip(spoken_run.run.fitted, clip)
    mute = lip_limits.of_clip(spoken_run.run.fitted, clip._replace(audio=None))
    np.testing.assert_array_equal(mute.paused, mute.closed)
    assert limits.paused.min() > 0.75  # other frames are quiet too
    voice = spoken_run.voice
    rows = spoken_clip.rows(voice.spec, clip)
    open_, closed = (
        lips.of_rows(voice, one, rows, len(frames))
        for one in (limits, limits._replace(paused=mute.closed))
    )
    assert np.abs(open_ - closed)[between].max() > 0.1
    np.testing.assert_allclose(open_[:20], closed[:20], atol=1e-6)
    np.testing.assert_allclose(open_[30], limits.paused, atol=0.05)


def test_lips_stay_near_the_range_of_training(spoken_run):
    limits = spoken_run.limits
    narrow = limits._replace(low=limits.low / 9, high=limits.high / 9)
    found, _ = streamed(spoken_run, spoken_run.sound, [len(spoken_run.sound)], narrow)
    assert lip_limits.outside(narrow, found).any()
    spread = np.abs(np.random.default_rng(0).normal(size=(50, 3)) * 20)
    for lip in (spread, -spread):
        soft = lip_limits.softened(narrow, lip)
        assert np.abs(soft).max() < np.abs(lip).max()
        np.testing.assert_allclose(lip_limits.clipped(narrow, soft), soft, atol=1e-6)
        hard = lip_limits.clipped(narrow, lip)
        assert (hard <= narrow.high + narrow.room).all()
        assert (hard >= narrow.low - narrow.room).all()
    inside = (narrow.low + narrow.high) / 2
    np.testing.assert_array_equal(lip_limits.softened(narrow, inside), inside)


@pytest.mark.parametrize("noise", [20, 10, 5])
def test_noise_without_speech_is_a_pause(spoken_run, noise):
    rate, rng = structs.AUDIO_RATE, np.random.default_rng(0)
    said = np.tile(spoken_run.sound, 2)
    sound = np.concatenate([said, np.zeros(2 * rate, np.float32), said])
    spread = np.sqrt(np.mean(said**2) / 10 ** (noise / 10))
    heard = sound + np.float32(spread * rng.normal(size=len(sound)))
    found, _ = streamed(spoken_run, heard, [700] * (len(heard) // 700 + 1))
    first = round(len(said) / rate * structs.FPS)
    pause = found[first + 32 : first + 45]  # until then they close
    np.testing.assert_allclose(pause, np.tile(pause[:1], (13, 1)), atol=1e-3)
    for spoken in (found[:first], found[first + 55 :]):
        assert np.abs(np.diff(spoken, axis=0)).max() > 0.05
