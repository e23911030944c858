"""Lip sources of training: lips by cross-fitted models, or an encoder trained along."""

import shutil

import jax
import numpy as np
import pytest
import tiny_model

import lokitalk_jax as lokitalk
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import clip_fitting, cross_fit, spoken_clip, voice
from lokitalk_jax.speech.lip_limits import LipLimits
from lokitalk_jax.training import session, trainer


def predict_lips(clip, others, limits):
    found = LipLimits(limits[0], limits[0], limits.min(0), limits.max(0))
    start = clip_fitting.start_for("mel", [clip], np.eye(clip.lip.shape[1], 120))
    found = cross_fit.predict_lips([clip], others, {clip.name: found}, start)
    return found[clip.name]


def test_lips_are_predicted_by_models_that_were_not_trained_on_them(tiny_run):
    clip, *others = map(spoken_clip.of_record, clip_records.load_all(tiny_run.workdir))
    predicted = predict_lips(clip, others, clip.lip)
    assert predicted.shape == clip.lip.shape and np.abs(predicted).max() > 0
    part = np.array_split(clip.train_frames, cross_fit.STRETCHES)[1]
    changed = clip.lip.copy()
    changed[part] = 9.0
    again = predict_lips(clip._replace(lip=changed), others, clip.lip)
    np.testing.assert_array_equal(again[part], predicted[part])
    assert (
        np.abs(again - predicted).max() > 1e-3
    )  # models of other stretches were trained on it


def test_training_on_lips_predicted_from_sound(tiny_run, tmp_path, monkeypatch):
    config = tiny_model.config()
    config.data.root = str(tiny_run.data)
    config.voice.hears = "phones"
    config.data.unusual.lip = 0.0  # the frames drawn do not depend on the lips
    tracked = next(session.build_session(config).batches.iterate(0)).signals
    config.lips = "audio"
    spoken = next(session.build_session(config, tmp_path).batches.iterate(0)).signals
    assert np.abs(spoken.lip - tracked.lip).max() > 0.1
    np.testing.assert_array_equal(spoken.head, tracked.head)
    # A resumed run trains on the same lips, and fits nothing anew.
    monkeypatch.setattr(
        cross_fit, "predict_lips", lambda *_: pytest.fail("fitted anew")
    )
    again = next(session.build_session(config, tmp_path).batches.iterate(0)).signals
    np.testing.assert_array_equal(again.lip, spoken.lip)
    data = tmp_path / "data"
    shutil.copytree(tiny_run.data, data)
    first, second = (data / name / "tracks.npz" for name in tiny_run.names)
    shutil.copy(first, second)
    config.data.root = str(data)
    message = f"lip_source.npz .*other clips of {tiny_run.names[1]} than"
    with pytest.raises(ValueError, match=message):
        session.build_session(config, tmp_path)
    config.lips = "guessed"
    with pytest.raises(ValueError, match="lips=guessed is none of tracked"):
        session.build_session(config)


@pytest.mark.heavy
def test_an_audio_encoder_is_trained_along_and_kept(tiny_run, tmp_path):
    config = tiny_model.config()
    config.data.root = str(tiny_run.data)
    config.voice.hears = "mel"
    config.lips = "encoder"
    begun = session.build_session(config)
    source = begun.batches.iterate(0)
    batch = next(source)
    source.close()
    assert batch.audio_windows.shape[-1] == 25 and len(begun.model.voice.offsets) == 11
    before = jax.device_get(begun.state.params["shared"]["voice"])
    trainer.train(config, tmp_path / "run")
    run = OpenRun(tmp_path / "run")
    trained = run.shared["voice"]
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, trained)
    assert moved["kernel"] > 1e-3  # by the pictures' loss alone
    kept = voice.load(tmp_path / "run")
    assert kept.spec == run.model.voice and set(kept.held_out_correlation) == set(
        tiny_run.names
    )
    jax.tree.map(np.testing.assert_array_equal, kept.params, trained)
    config.train.steps = 14  # a run that goes on keeps what it has learned since
    trainer.train(config, tmp_path / "run")
    run = OpenRun(tmp_path / "run")
    later = run.shared["voice"]
    jax.tree.map(
        np.testing.assert_array_equal, voice.load(tmp_path / "run").params, later
    )
    assert np.abs(jax.tree.leaves(later)[1] - jax.tree.leaves(trained)[1]).max() > 0

    adapting = config.copy_and_resolve_references()
    adapting.prior, adapting.start = str(tmp_path / "run"), "mean"
    adapting.shared = "frozen"
    taken = session.build_session(adapting).state.params["shared"]["voice"]
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(taken), later)

    live = lokitalk.Run(tmp_path / "run").avatar(tiny_run.names[0]).live()
    assert len(live.push(np.zeros(16_000, np.float32))) > 10
    config.voice.hears = "aud_hu.npy"
    with pytest.raises(ValueError, match="voice.hears=aud_hu.npy cannot be used"):
        session.build_session(config)
