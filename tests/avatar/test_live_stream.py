"""Live avatars at the pace of a clock: sound kept whole, late frames left out."""

import itertools

import numpy as np
import pytest

import lokitalk_jax as lokitalk
from lokitalk_jax import structs
from lokitalk_jax.avatar.sharpness import Sharpness
from lokitalk_jax.avatar.sound_queue import SAMPLES_PER_FRAME, SoundQueue
from lokitalk_jax.avatar.sources import Sources

FRAME = 1 / structs.FPS


def ramp(frames: float) -> np.ndarray:
    return np.arange(1, 1 + round(frames * SAMPLES_PER_FRAME), dtype=np.float32)


def test_silence_comes_at_the_rate_of_the_clock():
    queue = SoundQueue(10.0)
    blocks = [queue.take(10 + at / 1000) for at in range(1, 1001, 7)]
    assert sum(map(len, blocks)) == 25
    assert not np.concatenate(sum(blocks, [])).any()


def test_sound_that_comes_at_once_is_given_out_at_the_rate_of_the_clock():
    queue = SoundQueue(0.0)
    queue.put(ramp(50))
    heard = [len(queue.take(at * FRAME)) for at in range(1, 52)]
    assert max(heard) <= 2 and sum(heard[:-1]) in (50, 51)


def test_pieces_of_any_length_stay_whole():
    queue, sound = SoundQueue(0.0), ramp(40)
    heard, now = [], 0.0
    for piece in np.split(sound, [100, 900, 5000, 5001, 20_000]):
        queue.put(piece)
        now += len(piece) / structs.AUDIO_RATE
        heard += queue.take(now)
    heard += queue.take(now + 0.5)
    joined = np.concatenate(heard)
    first = np.flatnonzero(joined)[0]
    np.testing.assert_array_equal(joined[first : first + len(sound)], sound)


def test_late_sound_is_waited_for_and_then_silence_follows():
    queue = SoundQueue(0.0)
    queue.put(ramp(1.5))
    assert len(queue.take(3 * FRAME)) == 1  # half a block waits for the rest
    queue.put(ramp(0.5))
    assert len(queue.take(4 * FRAME)) == 1
    assert not queue.take(5 * FRAME)
    assert len(queue.take(1.0)) == 23  # the clock makes up for it


@pytest.mark.parametrize(
    "samples", [np.zeros(9, np.int16), np.zeros((2, 9)), np.full(9, np.nan)]
)
def test_samples_that_are_no_sound_are_refused(samples):
    with pytest.raises(ValueError, match="finite floats in .*one channel"):
        SoundQueue(0.0).put(samples)


def test_an_interruption_drops_what_waits():
    queue = SoundQueue(0.0)
    queue.put(ramp(100))
    queue.take(4.5 * FRAME)
    queue.clear()
    assert queue.waiting == 0
    assert not np.concatenate(queue.take(1.0)).any()


def test_sound_after_silence_begins_at_once():
    queue = SoundQueue(0.0)
    queue.take(1.01 * FRAME)
    queue.put(ramp(2))
    assert len(queue.take(1.02 * FRAME)) == 1
    assert not queue.take(1.9 * FRAME)  # from here on the clock counts
    assert len(queue.take(2.03 * FRAME)) == 1


def test_sound_that_waits_is_shortened_from_its_beginning():
    queue = SoundQueue(0.0)
    queue.put(ramp(100))
    queue.shorten(2 * FRAME)
    assert queue.waiting == 2 * FRAME
    (block,) = queue.take(0.5 * FRAME)
    np.testing.assert_array_equal(block, ramp(100)[-2 * SAMPLES_PER_FRAME :][:640])
    queue.shorten(1.0)
    assert queue.waiting == FRAME


def test_a_process_that_slept_does_not_make_up_for_hours():
    queue = SoundQueue(0.0)
    assert len(queue.take(3600.0)) <= 51


def test_moving_frames_take_the_largest_size_that_keeps_pace():
    sharpness = Sharpness([64, 128, 256])
    seconds = {64: 0.006, 128: 0.03, 256: 0.12}
    for _ in range(100):
        size = sharpness.size(still=False)
        sharpness.took(size, seconds[size])
    assert sharpness.size(still=False) == 128
    for _ in range(100):  # the machine is busy now
        size = sharpness.size(still=False)
        sharpness.took(size, 4 * seconds[size])
    assert sharpness.size(still=False) == 64


def test_a_picture_that_stands_still_becomes_sharp():
    sharpness = Sharpness([64, 128, 256])
    sizes = [sharpness.size(still=False)] + [sharpness.size(True) for _ in range(8)]
    assert sizes[0] == 64 and sizes[-1] == 256 and sizes == sorted(sizes)
    assert sharpness.size(still=False) == 64


@pytest.fixture
def live(spoken_run):
    return lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name, 16).live()


def test_a_stream_gives_all_sound_with_frames_in_order(live, spoken_run):
    sound = spoken_run.sound
    with lokitalk.LiveStream(live) as stream:
        stream.feed(sound)
        frames = list(itertools.islice(stream, 60))
        report = stream.report
    times = [frame.time for frame in frames]
    np.testing.assert_allclose(np.diff(times), FRAME)
    played = np.concatenate([frame.samples for frame in frames])
    first = np.flatnonzero(played)[0] - np.flatnonzero(sound)[0]
    np.testing.assert_array_equal(played[first : first + len(sound)], sound)
    assert any(frame.fresh for frame in frames)
    assert report.latency >= live.latency and report.drawing > 0


def test_what_is_set_while_it_runs_holds_from_the_next_frame_on(live):
    live.change(Sources(lip="still", eye="open", head="still"))
    with lokitalk.LiveStream(live) as stream:
        frames = iter(stream)

        def settled() -> np.ndarray:
            return list(itertools.islice(frames, 30))[-1].rgb.astype(int)

        before = settled()
        np.testing.assert_array_equal(before, settled())
        live.controls = live.controls._replace(turn=10.0)
        turned = settled()
        live.controls = live.controls._replace(turn=0.0, eye=0.0)
        live.background = "#00ff00"
        green = settled()
        live.map = "regions"
        shown = next(frames)
        while shown.map is None:
            shown = next(frames)
    assert np.abs(turned - before).max() > 4
    assert green[..., 1].mean() > before[..., 1].mean() + 10
    assert shown.map.shape == shown.rgb.shape


def test_a_clip_begins_with_its_sound(live, spoken_run):
    name, moved_to, predict = spoken_run.name, [], live.predict

    def recorded(block):
        frames = predict(block)
        moved_to.extend(frames)
        return frames

    live.predict = recorded
    with lokitalk.LiveStream(live) as stream:
        frames = iter(stream)
        next(frames)
        stream.change(Sources(name, name, name), ramp(20) / 1e6)
        while not next(frames).samples.any():
            pass
        list(itertools.islice(frames, 10))
    signals = spoken_run.record.signals
    first = next(n for n, one in enumerate(moved_to) if one.samples.any())
    for at in range(8):
        moved = moved_to[first + at].motion.signals
        np.testing.assert_allclose(moved.lip, signals.lip[at], atol=1e-5)
        np.testing.assert_allclose(moved.eye, signals.eye[at], atol=1e-5)


def test_nothing_is_drawn_while_nobody_can_take_it(live):
    with lokitalk.LiveStream(live) as stream:
        frames = iter(stream)
        stream.draws = False
        list(itertools.islice(frames, 10))
        live.controls = live.controls._replace(turn=10.0)
        waiting = list(itertools.islice(frames, 10))
        assert not any(frame.fresh for frame in waiting)
        assert np.diff([frame.time for frame in waiting]) == pytest.approx(FRAME)
        stream.draws = True
        assert any(frame.fresh for frame in itertools.islice(frames, 10))


def test_an_error_in_a_thread_reaches_the_reader(live, tmp_path):
    (tmp_path / "eye.csv").write_text("eye0,eye1,eye2\n1,1,0\n", "utf-8")
    live.change(Sources(eye=str(tmp_path / "eye.csv")))
    refused = pytest.raises(ValueError, match="of signals ends at frame")
    with refused, lokitalk.LiveStream(live) as frames:
        list(itertools.islice(frames, 60))
