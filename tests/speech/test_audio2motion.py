"""From sound to lips: what is learned, and what it may see."""

import jax
import numpy as np
import pytest

from lokitalk_jax.speech import audio2motion, sound_features, voice
from lokitalk_jax.speech.spoken_clip import SpokenClip

SPEC = audio2motion.Spec(members=2, articulation=8, width=8, lip_dim=3, dropout=0.1)
TRAINING = audio2motion.Training(steps=250, batch=4, frames=20, rate=1e-2)


def speaker(seed, count=200, name="anna"):
    """Lips that follow three channels of the sound as they are at the frame's time."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4 * count, SPEC.inputs)).astype("f4")
    rows[:, 3:] *= 0.1
    looked_at = audio2motion.windows(SPEC, rows, 4 * np.arange(count))
    lip = rows[::4, :3] + 0.1 * rng.normal(size=(count, 3)).astype("f4")
    return audio2motion.Speaker(name, [looked_at], lip, np.ones(count, bool))


def test_windows_look_back_and_ahead_and_stop_at_the_ends():
    rows = np.repeat(np.arange(100.0)[:, None], SPEC.inputs, 1)
    found = audio2motion.windows(SPEC, rows, np.array([0, 50, 99]))[..., 0]
    np.testing.assert_array_equal(found[1], 50 + SPEC.offsets)
    assert SPEC.offsets[0] == -SPEC.back and SPEC.offsets[-1] == SPEC.ahead
    assert found[0].min() == 0 and found[2].max() == 99
    assert SPEC.look_ahead == pytest.approx(0.08 + sound_features.LOOK_AHEAD)
    assert audio2motion.Spec().look_ahead <= 0.32


def test_lips_that_follow_the_sound_are_learned_and_the_doubt_is_right():
    # Doubt is learned under dropout, whose errors it would hold as well.
    spec = SPEC._replace(dropout=0.0)
    params = audio2motion.fit(spec, TRAINING, [speaker(0), speaker(1)], seed=0)
    new = speaker(2)
    mean, variance = audio2motion.apply(spec, params, new.looked_at[0])
    error = np.asarray(mean) - new.lip
    assert np.corrcoef(mean[:, 0], new.lip[:, 0])[0, 1] > 0.8
    # Doubt is of the size of the errors.
    assert 0.3 < np.mean(error**2) / np.mean(variance) < 3
    assert variance.min() > 0


def test_the_same_seed_gives_the_same_networks_and_members_differ():
    short = TRAINING._replace(steps=5)
    one, same = (audio2motion.fit(SPEC, short, [speaker(0)], seed=3) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    kernel = one["params"]["Dense_0"]["kernel"]
    assert not np.allclose(kernel[0], kernel[1])


def test_frames_that_are_not_usable_teach_nothing():
    clean = speaker(0)
    usable = np.arange(200) < 120
    lip = np.where(usable[:, None], clean.lip, np.nan)
    params = audio2motion.fit(
        SPEC,
        TRAINING._replace(steps=5),
        [clean._replace(lip=lip, usable=usable)],
        seed=0,
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_too_short_clips_are_refused_by_name():
    short = speaker(0)._replace(usable=np.arange(200) % 10 > 0)
    with pytest.raises(ValueError, match="none of anna has 20 training frames in"):
        audio2motion.fit(SPEC, TRAINING, [short], seed=0)


def test_speech_is_learned_across_frames_that_repeat_and_not_across_long_gaps():
    frames = np.arange(100)
    seen = (frames % 6 != 5) & ((frames < 30) | (frames > 40)) & (frames < 90)
    ramp = np.stack([0.1 * frames, -0.2 * frames], -1)
    lip = np.where(seen[:, None], ramp, 9.0)
    clip = SpokenClip("anna", None, None, lip, np.flatnonzero(seen), np.arange(90, 100))
    filled, known = voice._bridged(clip)
    gap = (frames > 28) & (frames < 42)
    np.testing.assert_array_equal(known, ~gap & (frames < 89))
    np.testing.assert_allclose(filled[known], ramp[known], atol=1e-9)


def test_gradient_of_the_loss_matches_finite_differences():
    one = speaker(0)
    spec = SPEC._replace(dropout=0.0)
    params = audio2motion.init(spec, jax.random.key(0))
    looked_at = np.stack([one.looked_at[0][None, :6]] * 2)
    lip = np.stack([one.lip[None, :6]] * 2)

    def loss(params):
        key = jax.random.key(0)
        return audio2motion.loss(spec, params, looked_at, lip, key, 1.0)

    direction = jax.tree.map(
        lambda leaf: np.random.default_rng(0).normal(size=leaf.shape).astype("f4"),
        params,
    )
    ahead, behind = (
        loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction))
        for s in (1e-3, -1e-3)
    )
    slope = sum(
        jax.tree.leaves(
            jax.tree.map(lambda g, d: (g * d).sum(), jax.grad(loss)(params), direction)
        )
    )
    assert float(slope) == pytest.approx(float(ahead - behind) / 2e-3, rel=0.03)


def test_a_voice_of_another_version_is_refused_by_name(tmp_path):
    params = audio2motion.init(SPEC, jax.random.key(0))
    voice.save(tmp_path, voice.Voice(SPEC, params, {}))
    assert voice.load(tmp_path).spec == SPEC
    layers = dict(params["params"])
    layers["older"] = layers.pop("linear")
    voice.save(tmp_path, voice.Voice(SPEC, {"params": layers}, {}))
    with pytest.raises(ValueError, match="another version.*fit the voice anew"):
        voice.load(tmp_path)


def test_small_motion_is_learned_beside_wide_motion():
    """A coefficient that moves a tenth as far follows the sound as well."""

    def narrowed(seed):
        one = speaker(seed)
        return one._replace(lip=one.lip * np.float32([1.0, 1.0, 0.1]))

    new = narrowed(2)
    params = audio2motion.fit(SPEC, TRAINING, [narrowed(0), narrowed(1)], seed=0)
    mean, _ = audio2motion.apply(SPEC, params, new.looked_at[0])
    assert np.corrcoef(mean[:, 2], new.lip[:, 2])[0, 1] > 0.7
    assert 0.5 < np.std(mean[:, 2]) / np.std(new.lip[:, 2]) < 1.5
