"""Voices: their training frames, their files, and the voices of the package."""

import shutil

import numpy as np
import pytest

from configs import audio2motion as audio2motion_config
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import (
    audio2motion,
    clip_fitting,
    manner,
    spoken_clip,
    voice,
    whisper_weights,
)
from lokitalk_jax.training import voice_fitting
from tests import spoken_run as spoken_runs


def test_a_run_keeps_its_voice_with_held_out_correlations(tiny_run, tmp_path):
    shutil.copytree(tiny_run.workdir, tmp_path / "run")
    c = audio2motion_config.get_config("draft_cpu")
    c.voice.hears = "phones"
    voice_fitting.fit_voice(c, tmp_path / "run")
    kept = voice.load(tmp_path / "run")
    assert set(kept.held_out_correlation) == set(tiny_run.names)
    assert all(-1 <= found <= 1 for found in kept.held_out_correlation.values())
    record = clip_records.load(tmp_path / "run", tiny_run.names[0])
    found = voice.predict(kept, spoken_clip.of_record(record))
    assert found.shape == (50, 3) and np.isfinite(found).all()


def test_clips_without_sound_are_refused_by_name(tiny_run):
    run = OpenRun(tiny_run.workdir)
    clips = map(spoken_clip.of_record, clip_records.load_all(tiny_run.workdir))
    mute = [clip._replace(audio=None) for clip in clips]
    with pytest.raises(ValueError, match="none of the clips has sound: demo_00, demo"):
        spoken_runs.fitted("phones", mute, run.lip_basis)


def test_the_features_of_a_voice_must_be_known(spoken_run):
    clips, basis = [spoken_run.clip], spoken_run.run.lip_basis
    assert clip_fitting.start_for("both", clips, basis).spec.inputs == 67
    with pytest.raises(ValueError, match="voice.hears='noise' is none of whisper, pho"):
        clip_fitting.start_for("noise", clips, basis)
    with pytest.raises(ValueError, match="there is no such file; make the features"):
        clip_fitting.start_for("aud_hu.npy", clips, basis)


def test_a_voice_from_nothing_needs_two_seconds(spoken_run):
    short = spoken_run.clip._replace(train_frames=np.arange(20))
    with pytest.raises(ValueError, match="50 frames of speech.* demo_00 have 20"):
        spoken_runs.fitted("mel", [short], spoken_run.run.lip_basis)


def test_a_voice_of_another_version_is_refused_by_name(tmp_path, spoken_run):
    kept = voice.load(spoken_run.workdir)
    assert kept.spec == spoken_run.voice.spec
    params = {"older": kept.params["kernel"]}
    voice.save(tmp_path, kept._replace(params=params))
    with pytest.raises(ValueError, match="another version.*train the voice again"):
        voice.load(tmp_path)


@pytest.mark.parametrize("hears", ["whisper", "phones"])
def test_the_package_has_a_voice(hears):
    assert voice.shipped_path(hears).stat().st_size < 2 << 20
    shipped = voice.shipped(hears)
    assert shipped.spec.hears == hears
    gram = shipped.lip_basis @ shipped.lip_basis.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-3)


def test_a_voice_predicts_the_same_lips_in_another_basis():
    shipped = voice.shipped("phones")
    rng = np.random.default_rng(0)
    # A basis of more directions that holds those of the voice.
    extra = np.concatenate([shipped.lip_basis, rng.normal(size=(3, 120))])
    basis = np.linalg.qr(extra.T)[0].T[::-1]
    moved = voice.in_basis(shipped, basis)
    windows = rng.normal(size=(5, len(shipped.spec.offsets), shipped.spec.inputs))
    lips, others = (
        audio2motion.apply(one.params, windows) @ one.lip_basis
        for one in (shipped, moved)
    )
    np.testing.assert_allclose(lips, others, atol=2e-3)
    assert moved.spec.lip_dim == len(basis)


def test_lips_do_not_depend_on_the_parts_that_they_are_predicted_in(
    spoken_run, monkeypatch
):
    whole = voice.predict(spoken_run.voice, spoken_run.clip)
    assert len(whole) == len(spoken_run.clip.lip) > 14
    monkeypatch.setattr(voice, "_FRAMES", 7)
    parts = voice.predict(spoken_run.voice, spoken_run.clip)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_a_run_without_a_voice_has_the_package_s(tiny_run, spoken_run, monkeypatch):
    basis = OpenRun(tiny_run.workdir).lip_basis
    monkeypatch.setattr(whisper_weights, "available", lambda: True)
    assert voice.of_run(tiny_run.workdir, basis).spec.hears == "whisper"
    monkeypatch.setattr(whisper_weights, "available", lambda: False)
    found = voice.of_run(tiny_run.workdir, basis)
    assert found.spec.hears == "phones" and found.spec.lip_dim == len(basis)
    own = voice.of_run(spoken_run.workdir, basis)
    np.testing.assert_allclose(
        own.params["kernel"], spoken_run.voice.params["kernel"], atol=1e-5
    )


def test_a_voice_takes_the_spread_and_the_mean_of_a_person(spoken_run):
    clip = spoken_run.clip
    plain = spoken_run.voice
    predicted = voice.predict(plain, clip)
    large = clip._replace(lip=3 * predicted + 0.5)
    found = voice.predict(manner.adapted(plain, large), large)[clip.train_frames]
    wanted = large.lip[clip.train_frames]
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=1e-4)
    ratio = found.std(0) / predicted[clip.train_frames].std(0)
    assert 1.3 < ratio.mean() < 2.5  # half way or more, for two seconds
    mute = manner.adapted(plain, clip._replace(audio=None))
    np.testing.assert_array_equal(mute.params["kernel"], plain.params["kernel"])


def test_a_style_is_neutral_without_speech_and_carried_to_another(spoken_run):
    clip, plain = spoken_run.clip, spoken_run.voice
    rng = np.random.default_rng(0)
    twist = np.eye(plain.spec.lip_dim) + 0.3 * rng.normal(size=[plain.spec.lip_dim] * 2)
    predicted = voice.predict(plain, clip)
    # A long clip of somebody whose lips do something else for the same sound.
    times = np.tile(np.arange(len(predicted)), 200)
    twisted = clip._replace(lip=predicted @ twist + 0.2, train_frames=times)
    style = manner.measured(plain, twisted)
    found = voice.predict(manner.in_style(plain, style), clip)
    near = np.abs(found - twisted.lip).mean() / np.abs(predicted - twisted.lip).mean()
    assert near < 0.3
    # The same motion in metres where a unit of the lips is twice as large.
    wide = manner.in_style(plain, style, 2 * plain.lip_scale)
    np.testing.assert_allclose(2 * voice.predict(wide, clip), found, atol=1e-4)
    mute = manner.measured(plain, clip._replace(audio=None))
    for one, other in zip(mute, manner.neutral(plain), strict=True):
        np.testing.assert_array_equal(one, other)
