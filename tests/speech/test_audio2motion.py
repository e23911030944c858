"""The regression from speech to lips: windows, fit, spread, start."""

import jax
import numpy as np

from lokitalk_jax.speech import audio2motion, ridge

SPEC = audio2motion.Spec(components=12, lip_dim=3, inputs=12)


def lesson(seed, count=200, noise=0.1, weight=1.0, sign=1.0):
    """Lips that follow three channels of the sound as they are at the frame's time."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4 * count, SPEC.inputs)).astype("f4")
    lip = sign * rows[::4, :3] + noise * rng.normal(size=(count, 3)).astype("f4")
    lip[:, 2] *= 0.1  # a coefficient that moves a tenth as far as the others
    return ridge.Lesson(rows, 4 * np.arange(count), lip, weight)


def windows(one):
    return audio2motion.windows(SPEC, one.rows, one.times)


def correlations(params, one):
    found = audio2motion.apply(params, windows(one))
    return np.array(
        [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, one.lip.T, strict=True)]
    )


def test_windows_look_back_and_ahead_and_stop_at_the_ends():
    rows = np.repeat(np.arange(100.0)[:, None], SPEC.inputs, 1)
    found = audio2motion.windows(SPEC, rows, np.array([0, 50, 99]))[..., 0]
    np.testing.assert_array_equal(found[1], 50 + SPEC.offsets)
    assert SPEC.offsets[0] == -SPEC.back and SPEC.offsets[-1] == SPEC.ahead
    np.testing.assert_array_equal(found[0, SPEC.offsets < 0], 0)
    np.testing.assert_array_equal(found[2, SPEC.offsets > 0], 99)


def test_lips_that_follow_the_sound_are_predicted():
    params = ridge.fit(SPEC, [lesson(n) for n in range(6)])
    assert correlations(params, lesson(9)).min() > 0.9
    # JAX differentiates what NumPy evaluates.
    four = windows(lesson(9))[:4]
    np.testing.assert_allclose(
        jax.jit(audio2motion.apply)(params, four),
        audio2motion.apply(params, four),
        atol=1e-5,
    )


def test_predicted_lips_move_as_far_as_true_ones():
    noisy = [lesson(n, noise=1.5) for n in range(6)]
    params, new = ridge.fit(SPEC, noisy), lesson(9, noise=1.5)
    spread = audio2motion.apply(params, windows(new)).std(0) / new.lip.std(0)
    np.testing.assert_allclose(spread, 1, atol=0.2)


def test_clips_whose_lips_do_not_follow_the_sound_hardly_count():
    good = [lesson(n) for n in range(6)]
    wrong = [one._replace(lip=10 * one.lip[::-1]) for one in good]
    params = ridge.fit(SPEC, [*good, *wrong])
    assert correlations(params, lesson(9)).min() > 0.9


def test_a_start_gives_way_to_long_speech_only():
    start = ridge.fit(SPEC, [lesson(n) for n in range(6)])
    other = lesson(20, sign=-1.0)
    little = ridge.fit(SPEC, [other], start)
    assert correlations(little, lesson(9)).min() > 0.8
    much = ridge.fit(SPEC, [other._replace(weight=1000.0)], start)
    assert correlations(much, lesson(9, sign=-1.0)).min() > 0.8
    for name in ("centre", "projection"):
        np.testing.assert_array_equal(much[name], start[name])


def test_components_span_rows_of_any_scale():
    one = lesson(0)
    scaled = one._replace(rows=one.rows * 1e3 + 7)
    plain, moved = (ridge.fit(SPEC, [x, x]) for x in (one, scaled))
    np.testing.assert_allclose(
        audio2motion.apply(moved, windows(scaled)),
        audio2motion.apply(plain, windows(one)),
        atol=0.02,
    )


def test_first_parameters_have_the_shapes_of_fitted_ones():
    first = audio2motion.init(SPEC, jax.random.key(0))
    fitted = ridge.fit(SPEC, [lesson(0), lesson(1)])
    assert {k: v.shape for k, v in first.items()} == {
        k: v.shape for k, v in fitted.items()
    }
    assert set(first) == set(audio2motion.PARAMETERS)
