"""Voices: what they are fitted on, and the file that keeps them."""

import shutil

import jax
import numpy as np
import pytest

from configs import audio2motion as audio2motion_config
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import audio2motion, clip_fitting, spoken_clip, voice
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.training import voice_fitting
from tests import spoken_run as spoken_runs


def test_a_run_keeps_its_voice_with_held_out_correlations(tiny_run, tmp_path):
    shutil.copytree(tiny_run.workdir, tmp_path / "run")
    c = audio2motion_config.get_config("draft_cpu")
    c.voice.update(steps=2, batch=1, frames=5)
    voice_fitting.fit_voice(c, tmp_path / "run")
    kept = voice.load(tmp_path / "run")
    assert set(kept.held_out_correlation) == set(tiny_run.names)
    assert all(-1 <= found <= 1 for found in kept.held_out_correlation.values())
    record = clip_records.load(tmp_path / "run", tiny_run.names[0])
    windows = spoken_clip.windows(kept.spec, spoken_clip.of_record(record))
    mean, variance = voice.predict(kept, windows)
    assert mean.shape == variance.shape == (50, 3) and (variance > 0).all()


def test_clips_without_sound_are_refused_by_name(tiny_run):
    clips = map(spoken_clip.of_record, clip_records.load_all(tiny_run.workdir))
    mute = [clip._replace(audio=None) for clip in clips]
    with pytest.raises(ValueError, match="none of the clips has sound: demo_00, demo"):
        clip_fitting.fit(mute, [], audio2motion.Spec(), spoken_runs.OPTIONS, seed=0)


def test_stretches_span_repeated_frames_but_not_long_gaps():
    frames = np.arange(100)
    seen = (frames % 6 != 5) & ((frames < 30) | (frames > 40)) & (frames < 90)
    ramp = np.stack([0.1 * frames, -0.2 * frames], -1)
    lip = np.where(seen[:, None], ramp, 9.0)
    clip = SpokenClip("anna", None, None, lip, np.flatnonzero(seen), np.arange(90, 100))
    filled, known = clip_fitting._bridged(clip)
    gap = (frames > 28) & (frames < 42)
    np.testing.assert_array_equal(known, ~gap & (frames < 89))
    np.testing.assert_allclose(filled[known], ramp[known], atol=1e-9)


def test_the_features_of_a_voice_must_be_known(spoken_run):
    clips = [spoken_run.clip]
    assert clip_fitting.spec_for("both", clips).inputs == 68
    with pytest.raises(ValueError, match="voice.hears='noise' is none of phones, mel"):
        clip_fitting.spec_for("noise", clips)
    with pytest.raises(ValueError, match="no such file of audio features"):
        clip_fitting.spec_for("aud_hu.npy", clips)


def test_a_voice_of_another_version_is_refused_by_name(tmp_path):
    spec = audio2motion.Spec(members=1, row_width=2, width=2, lip_dim=3)
    params = audio2motion.init(spec, jax.random.key(0))
    voice.save(tmp_path, voice.Voice(spec, params))
    assert voice.load(tmp_path).spec == spec
    layers = dict(params["params"])
    layers["older"] = layers.pop("linear")
    voice.save(tmp_path, voice.Voice(spec, {"params": layers}))
    with pytest.raises(ValueError, match="another version.*train the voice again"):
        voice.load(tmp_path)
