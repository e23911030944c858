"""Live avatars: frames with their time and their sound."""

import numpy as np
import pytest

import lokitalk_jax as lokitalk
from lokitalk_jax import structs
from lokitalk_jax.avatar.live import SAMPLES_PER_FRAME
from lokitalk_jax.avatar.sources import Sources


def avatar_of(run, size=None):
    return lokitalk.Run(run.workdir).avatar(run.name, size)


def pushed(live, sound, size):
    frames = []
    for at in range(0, len(sound), size):
        frames += live.push(sound[at : at + size])
    return frames + live.finish()


def test_pieces_give_the_frames_of_the_whole_with_their_sound(spoken_run):
    sound = np.append(spoken_run.sound, np.float32([0.5] * 100))  # 37.7 frames
    whole, pieces = (
        pushed(avatar_of(spoken_run).live(), sound, size) for size in (len(sound), 700)
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
    live = avatar_of(spoken_run, 32).live()
    assert live.latency <= 0.32
    frames = live.push(spoken_run.sound[: structs.AUDIO_RATE])
    assert len(frames) >= int((1 - live.latency) * structs.FPS)
    assert max(frames[0].rgb.shape) == 32


def test_a_transparent_background_is_refused(spoken_run):
    with pytest.raises(ValueError, match="background=none is transparent"):
        avatar_of(spoken_run).live(background="none")


def test_frames_are_those_of_the_file(spoken_run):
    avatar = avatar_of(spoken_run)
    live = avatar.live()
    spoken = list(avatar.speak(spoken_run.path))
    frames = pushed(live, spoken_run.sound, 640)
    assert len(spoken) == len(frames)
    for one, other in zip(spoken, frames, strict=True):
        assert one.time == other.time
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1


def test_gains_and_sources_change_from_the_next_sample_on(spoken_run):
    plain, changed = (avatar_of(spoken_run, 16).live() for _ in range(2))
    sound = spoken_run.sound[: 30 * SAMPLES_PER_FRAME]
    first, second = sound[: len(sound) // 2], sound[len(sound) // 2 :]

    def heard(live, samples):
        return [one.motion.signals for one in live.predict(samples)]

    before = heard(plain, first), heard(changed, first)
    np.testing.assert_array_equal(*([x.lip for x in one] for one in before))
    changed.change(Sources(lip="still", eye="open", head="still"))
    after = heard(plain, second), heard(changed, second)
    rest = spoken_run.record.rest
    waited = changed.behind  # frames of the first half that waited for their sound
    for number, (one, other) in enumerate(zip(*after, strict=True)):
        if number < waited:
            np.testing.assert_array_equal(one.lip, other.lip)
        else:
            np.testing.assert_array_equal(other.lip, rest.lip)
            np.testing.assert_array_equal(other.head, rest.head)
    plain.gain = {"lip": 0.0, "torso": 0.0}
    (still, *_) = heard(plain, first)
    np.testing.assert_allclose(still.lip, rest.lip, atol=1e-6)
    np.testing.assert_allclose(still.torso, rest.torso, atol=1e-6)


def test_a_change_to_speech_needs_motion_that_began_with_it(spoken_run):
    live = avatar_of(spoken_run).live(lip="still")
    with pytest.raises(ValueError, match="lip=audio cannot be taken up by motion"):
        live.change(Sources())


def test_an_idle_motion_is_set_at_any_time(spoken_run):
    live = avatar_of(spoken_run, 16).live()
    silence = np.zeros(60 * SAMPLES_PER_FRAME, np.float32)
    before = live.predict(silence)[-1].motion.signals
    live.idle = str(spoken_run.record.source)
    after = live.predict(silence)
    assert live.idle and len({float(x.motion.signals.lip[0]) for x in after[-4:]}) > 1
    assert not np.array_equal(after[-1].motion.signals.lip, before.lip)
    with pytest.raises(ValueError, match="idle=nobody"):
        live.idle = "nobody"
    live.idle = None
    np.testing.assert_array_equal(
        live.predict(silence)[-1].motion.signals.lip, before.lip
    )
