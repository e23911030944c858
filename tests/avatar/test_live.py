"""Live avatars: frames with their time and their sound."""

import numpy as np
import pytest

from lokitalk_jax import structs
from lokitalk_jax.avatar.live import SAMPLES_PER_FRAME, LiveAvatar


def pushed(live, sound, size):
    frames = []
    for at in range(0, len(sound), size):
        frames += live.push(sound[at : at + size])
    return frames + live.finish()


def test_pieces_give_the_frames_of_the_whole_with_their_sound(spoken_run):
    sound = np.append(spoken_run.sound, np.float32([0.5] * 100))  # 37.7 frames
    whole, pieces = (
        pushed(LiveAvatar.load(spoken_run.workdir, spoken_run.name), sound, size)
        for size in (len(sound), 700)
    )
    assert len(whole) == len(pieces) == 38
    for number, (one, other) in enumerate(zip(whole, pieces, strict=True)):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
        assert one.time == other.time == number / structs.FPS
        first = number * SAMPLES_PER_FRAME
        its = np.zeros(SAMPLES_PER_FRAME)
        known = sound[first : first + SAMPLES_PER_FRAME]
        its[: len(known)] = known
        np.testing.assert_array_equal(one.samples, its)
        np.testing.assert_array_equal(other.samples, its)
    assert (whole[0].rgb != whole[-1].rgb).any()


def test_frames_come_within_the_stated_latency(spoken_run):
    live = LiveAvatar.load(spoken_run.workdir, spoken_run.name, size=32)
    assert live.latency <= 0.32
    frames = live.push(spoken_run.sound[: structs.AUDIO_RATE])
    assert len(frames) >= int((1 - live.latency) * structs.FPS)
    assert max(frames[0].rgb.shape) == 32


def test_a_transparent_background_is_refused(spoken_run):
    with pytest.raises(ValueError, match="background=none is transparent"):
        LiveAvatar.load(spoken_run.workdir, spoken_run.name, background="none")
