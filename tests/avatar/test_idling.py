"""Idle motion in stretches without speech."""

import types

import numpy as np
import pytest
import scipy.io.wavfile
from sound_files import RATE, tone

from lokitalk_jax import structs
from lokitalk_jax.avatar import idling, live_idling
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.sound_queue import SAMPLES_PER_FRAME
from lokitalk_jax.media import sound_file

WIDTHS = {"lip": 3, "eye": 2, "head": 6, "torso": 12}


def sound(path, *parts):
    """A file of pairs (seconds, loudness)."""
    samples = np.concatenate([level * tone(length) for length, level in parts])
    scipy.io.wavfile.write(path, RATE, samples.astype("f4"))
    return sound_file.open_sound(path)


def signals(value, count=None):
    shape = () if count is None else (count,)
    return structs.Signals(
        **{k: np.full((*shape, w), value, np.float32) for k, w in WIDTHS.items()}
    )


def record(audio, count=100):
    numbered = structs.Signals(
        **{
            k: np.tile(np.arange(count, dtype=np.float32)[:, None], (1, w))
            for k, w in WIDTHS.items()
        }
    )
    return types.SimpleNamespace(
        name="me",
        audio=audio,
        signals=numbered,
        frame_count=count,
        rest=signals(0.0),
        rest_pose=np.eye(4, dtype=np.float32),
    )


def test_silence_is_found_in_pieces_of_any_length(tmp_path):
    one = sound(tmp_path / "a.wav", (1, 1), (2, 1e-4), (1, 0.5), (0.4, 0), (1, 1))
    silent = idling.is_silent(one.read())
    assert len(silent) == 135
    assert np.flatnonzero(silent).tolist() == list(range(25, 75))
    whole = np.concatenate(list(one.read()))
    pieces = np.array_split(whole, 37)
    np.testing.assert_array_equal(idling.is_silent(pieces), silent)
    assert not idling.is_silent([]).size


def test_speech_is_left_alone_and_pauses_are_eased(tmp_path):
    one = sound(tmp_path / "a.wav", (1, 1), (2, 0), (1, 1))
    spoken = [FrameMotion(np.eye(4), signals(1.0)) for _ in range(100)]
    moved = list(idling.in_pauses(spoken, one, signals(3.0, 4), record(None)))
    lip = np.array([frame.signals.lip[0] for frame in moved])
    np.testing.assert_array_equal(lip[:25], 1)
    np.testing.assert_array_equal(lip[75:], 1)
    np.testing.assert_allclose(lip[40:60], 3)
    assert np.abs(np.diff(lip)).max() < 0.5
    assert np.isfinite(moved[50].head_to_camera).all()


def test_the_own_idle_motion_is_the_longest_pause_of_the_clip(tmp_path):
    clip = sound(tmp_path / "c.wav", (0.4, 1), (1.2, 0), (0.4, 1), (1.6, 0), (0.4, 1))
    found = idling.signals(None, record(clip.path), idling.OWN)
    assert found.head[:, 0].tolist() == list(range(50, 90))
    busy = sound(tmp_path / "b.wav", (4, 1))
    for audio in (busy.path, None):
        with pytest.raises(
            ValueError, match="idle=own: the clip .* no second of silence.*idle=FOLDER"
        ):
            idling.signals(None, record(audio), idling.OWN)


def test_a_table_is_an_idle_motion(tmp_path):
    names = [f"{k}{i}" for k, width in WIDTHS.items() for i in range(width)]
    table = tmp_path / "idle.csv"
    rows = [";".join([f"0,{row}"] * len(names)) for row in range(3)]
    table.write_text("\n".join([";".join(names), *rows, ";" * (len(names) - 1)]))
    found = idling.signals(None, record(None), table)
    np.testing.assert_allclose(found.torso[:, 0], [0, 0.1, 0.2])


def live_lips(samples, piece):
    """Lips of a live avatar whose speech gives 1, and whose idle motion is 3."""
    live, lips, heard = live_idling.LiveIdling(record(None), 0.08), [], 0
    live.use(signals(3.0, 4))
    for at in range(0, len(samples), piece):
        live.put(samples[at : at + piece])
        heard += len(samples[at : at + piece])
        for _ in range(heard // SAMPLES_PER_FRAME - 2 - len(lips)):
            moved = live.mixed(FrameMotion(np.eye(4), signals(1.0)))
            lips.append(float(moved.signals.lip[0]))
    return np.array(lips)


@pytest.mark.parametrize("quiet", [0.0, 1e-4])
def test_a_live_avatar_idles_after_a_second_and_stops_in_time(quiet):
    parts = ((1, 0.5), (3, quiet), (1, 0.5), (0.8, quiet), (1, 0.5))
    samples = np.concatenate([level * tone(length) for length, level in parts])
    lips = live_lips(samples, 640)
    np.testing.assert_array_equal(lips[:48], 1)
    np.testing.assert_array_equal(lips[62:98], 3)
    assert np.abs(np.diff(lips[:98])).max() < 0.5
    np.testing.assert_array_equal(lips[100:], 1)  # a short pause is part of speech
    np.testing.assert_array_equal(live_lips(samples, 999), lips)


def test_an_idle_motion_of_a_live_avatar_can_be_switched_off():
    live = live_idling.LiveIdling(record(None), 0.08)
    frame = FrameMotion(np.eye(4), signals(1.0))
    live.use(signals(3.0, 4))
    live.put(np.zeros(60 * SAMPLES_PER_FRAME))
    for _ in range(60):
        idle = live.mixed(frame)
    assert idle.signals.lip[0] == 3
    live.use(None)
    live.put(np.zeros(SAMPLES_PER_FRAME))
    assert live.mixed(frame) is frame
