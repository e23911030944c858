"""The network from speech to lips: windows, training, uncertainty."""

import jax
import numpy as np
import pytest

from lokitalk_jax.speech import audio2motion, fitting, sound_features

SPEC = audio2motion.Spec(members=2, row_width=8, width=8, lip_dim=3, dropout=0.1)
OPTIONS = fitting.FitOptions(steps=250, batch=4, frames=20, rate=1e-2)


def training_clip(seed, count=200, name="anna"):
    """Lips that follow three channels of the sound as they are at the frame's time."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4 * count, SPEC.inputs)).astype("f4")
    rows[:, 3:] *= 0.1
    windows = audio2motion.windows(SPEC, rows, 4 * np.arange(count))
    lip = rows[::4, :3] + 0.1 * rng.normal(size=(count, 3)).astype("f4")
    lip[:, 2] *= 0.1  # a coefficient that moves a tenth as far as the others
    return fitting.TrainingClip(name, [windows], lip, np.ones(count, bool))


def test_windows_look_back_and_ahead_and_stop_at_the_ends():
    rows = np.repeat(np.arange(100.0)[:, None], SPEC.inputs, 1)
    found = audio2motion.windows(SPEC, rows, np.array([0, 50, 99]))[..., 0]
    np.testing.assert_array_equal(found[1], 50 + SPEC.offsets)
    assert SPEC.offsets[0] == -SPEC.back and SPEC.offsets[-1] == SPEC.ahead
    assert found[0].min() == 0 and found[2].max() == 99
    assert SPEC.look_ahead == pytest.approx(0.08 + sound_features.LOOK_AHEAD)
    assert audio2motion.Spec().look_ahead <= 0.32


def test_lips_that_follow_the_sound_are_learned_and_the_variance_is_right():
    # Variance is learned under dropout, whose errors it would include.
    spec = SPEC._replace(dropout=0.0)
    clips = [training_clip(0), training_clip(1)]
    stages = []
    params = fitting.fit(
        spec, OPTIONS, clips, seed=0, progress=lambda *stage: stages.append(stage)
    )
    new = training_clip(2)
    mean, variance = audio2motion.apply(spec, params, new.windows[0])
    for i in range(3):
        assert np.corrcoef(mean[:, i], new.lip[:, i])[0, 1] > 0.7
        error = np.asarray(mean[:, i]) - new.lip[:, i]
        assert 0.3 < np.mean(error**2) / np.mean(variance[:, i]) < 3
        assert 0.5 < np.std(mean[:, i]) / np.std(new.lip[:, i]) < 1.5
    assert [stage[1] for stage in stages] == list(range(OPTIONS.steps + 1))


def test_equal_seeds_give_equal_networks_and_members_differ():
    options = OPTIONS._replace(steps=5)
    one, same = (
        fitting.fit(SPEC, options, [training_clip(0)], seed=3) for _ in range(2)
    )
    jax.tree.map(np.testing.assert_array_equal, one, same)
    kernel = one["params"]["Dense_0"]["kernel"]
    assert not np.allclose(kernel[0], kernel[1])


def test_frames_that_are_not_usable_do_not_count():
    clean = training_clip(0)
    usable = np.arange(200) < 120
    lip = np.where(usable[:, None], clean.lip, np.nan)
    clip = clean._replace(lip=lip, usable=usable)
    params = fitting.fit(SPEC, OPTIONS._replace(steps=5), [clip], seed=0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_clips_that_are_too_short_are_refused_by_name():
    short = training_clip(0)._replace(usable=np.arange(200) % 10 > 0)
    with pytest.raises(ValueError, match="none of anna has 20 training frames in"):
        fitting.fit(SPEC, OPTIONS, [short], seed=0)


def test_gradient_of_the_loss_matches_finite_differences():
    one = training_clip(0)
    spec = SPEC._replace(dropout=0.0)
    params = audio2motion.init(spec, jax.random.key(0))
    windows = np.stack([one.windows[0][None, :6]] * 2)
    lip = np.stack([one.lip[None, :6]] * 2)

    @jax.jit
    def loss(params):
        key = jax.random.key(0)
        return audio2motion.loss(spec, params, windows, lip, key, 1.0)

    rng = np.random.default_rng(0)
    direction = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype("f4"), params
    )
    ahead, behind = (
        loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction))
        for s in (1e-3, -1e-3)
    )
    products = jax.tree.map(
        lambda g, d: (g * d).sum(), jax.grad(loss)(params), direction
    )
    slope = sum(jax.tree.leaves(products))
    assert float(slope) == pytest.approx(float(ahead - behind) / 2e-3, rel=0.03)
