"""The offset between sound and lips: found, corrected once, or unsure."""

import shutil

import msgspec
import numpy as np
import pytest

from lokitalk_jax import folder_lock
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.doctor import sound
from lokitalk_jax.media import clip_sound
from lokitalk_jax.speech import lip_sync
from lokitalk_jax.speech.lip_sync import Offset


def signals(seed=0, count=200, noise=1.0):
    """Lips, and lips as a voice predicts them."""
    rng = np.random.default_rng(seed)
    true = np.apply_along_axis(
        lambda x: np.convolve(x, np.ones(4) / 2, "same"), 0, rng.normal(size=(count, 3))
    )
    return true + noise * rng.normal(size=true.shape), true


@pytest.mark.parametrize("frames", [-7, -3, 0, 2, 8])
def test_a_shift_is_found(frames):
    predicted, true = signals()
    found = lip_sync.best(np.roll(predicted, frames, 0), true, np.ones(200, bool))
    assert found.sure and abs(found.seconds - frames / 25) < 0.01
    assert found.noticeable == (abs(frames) > 1)


def test_half_a_frame_is_found():
    predicted, true = signals(noise=0.3)
    between = (predicted[1:] + predicted[:-1]) / 2
    found = lip_sync.best(between, true[1:], np.ones(199, bool))
    assert abs(found.seconds - 0.02) < 0.008


@pytest.mark.parametrize("count", [60, 200, 800])
def test_somebody_else_s_sound_is_unsure(count):
    sure = [
        lip_sync.best(
            signals(seed, count)[0], signals(seed + 100, count)[1], np.ones(count, bool)
        ).sure
        for seed in range(20)
    ]
    assert sum(sure) <= 1


@pytest.fixture
def folder(people, tmp_path):
    """An identity folder to write into."""
    (source, *_) = sorted(path.parent for path in people.glob("*/identity.json"))
    path = shutil.copytree(source, tmp_path / "anna")
    writer = FolderWriter(path)
    writer.write_sound(np.random.default_rng(0).uniform(-0.5, 0.5, 8000))
    meta = msgspec.structs.replace(IdentityFolder(path).meta, audio_rate=16_000)
    writer.write_meta(meta)
    return path


def test_late_sound_is_put_in_step_once(folder, monkeypatch):
    late = Offset(0.12, 0.6, 0.4, 200)
    monkeypatch.setattr(lip_sync, "of_folder", lambda _: late)
    before = clip_sound.samples(folder / "audio.wav")
    for _ in range(2):  # the second time changes nothing
        meta = lip_sync.correct(folder).meta
        after = clip_sound.samples(folder / "audio.wav")
        np.testing.assert_allclose(after[:-1920], before[1920:], atol=1e-4)
        assert len(after) == len(before) and not after[-1920:].any()
        assert meta.quality["audio_offset_ms"] == 120
        assert meta.quality["audio_advanced_ms"] == 120
    (finding,) = sound.in_step(meta)
    assert finding.check == "sound_moved" and "120 ms late" in finding.seen


@pytest.mark.parametrize(
    "offset", [Offset(0.03, 0.7, 0.5, 200), Offset(0.2, 0.1, 0.01, 200)]
)
def test_small_and_unsure_offsets_are_noted_only(folder, monkeypatch, offset):
    monkeypatch.setattr(lip_sync, "of_folder", lambda _: offset)
    before = (folder / "audio.wav").read_bytes()
    meta = lip_sync.correct(folder).meta
    assert (folder / "audio.wav").read_bytes() == before
    assert meta.quality["audio_advanced_ms"] == 0
    assert [one.check for one in sound.in_step(meta)] == (
        [] if offset.sure else ["sound_unsure"]
    )


def test_an_offset_can_be_given(folder, monkeypatch):
    monkeypatch.setattr(lip_sync, "of_folder", lambda _: pytest.fail("estimated"))
    before = clip_sound.samples(folder / "audio.wav")
    assert lip_sync.correct(folder, 0).meta == IdentityFolder(folder).meta
    assert "audio_offset_ms" not in IdentityFolder(folder).meta.quality
    lip_sync.correct(folder, "-40")
    after = clip_sound.samples(folder / "audio.wav")
    np.testing.assert_allclose(after[640:], before[:-640], atol=1e-4)
    assert lip_sync.correct(folder, -40).meta == lip_sync.correct(folder).meta
    with pytest.raises(ValueError, match="audio_offset=80: .*an offset of -40 ms"):
        lip_sync.correct(folder, 80)
    for wrong in ("soon", 1e9, "nan"):
        with pytest.raises(ValueError, match="neither auto nor a number of millisec"):
            lip_sync.correct(folder, wrong)


@pytest.mark.parametrize("last", ["write_sound", "write_meta"])
def test_a_correction_that_was_interrupted_is_made_once(folder, monkeypatch, last):
    monkeypatch.setattr(lip_sync, "of_folder", lambda _: pytest.fail("estimated"))
    whole = shutil.copytree(folder, folder.with_name("whole") / "anna")
    lip_sync.correct(whole, 120)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FolderWriter, last, killed)
        lip_sync.correct(folder, 120)
    lip_sync.correct(folder, 120)
    shutil.copyfile(folder / "audio.wav", folder / ".original.wav")  # killed at the end
    lip_sync.correct(folder, 120)
    found = {one.name for one in folder.iterdir()}
    assert found == {one.name for one in whole.iterdir()}
    for name in ("audio.wav", "identity.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_folder_is_corrected_by_one_process_at_a_time(folder):
    with (
        folder_lock.hold(folder),
        pytest.raises(ValueError, match="is in use by process"),
    ):
        lip_sync.correct(folder, 120)
