"""Scores of motion on signals whose scores are known."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from lokitalk_jax.evaluation import motion_scores
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.metrics import (
    bootstrap,
    closures,
    composite,
    dynamics,
    lip_motion,
    silence,
    sync,
    time_series,
)

RATE = 16000


def speech(seconds=6.0, seed=0):
    """An opening that moves as in speech, [F], face widths."""
    rng = np.random.default_rng(seed)
    noise = time_series.smooth(rng.normal(size=round(25 * seconds)), 5)
    return 0.05 + 0.05 * noise


def test_concordance_is_lins_formula():
    truth, other = speech(), 0.6 * speech() + 0.01 * speech(seed=1) + 0.02
    x, y = truth, other
    wanted = 2 * np.cov(x, y, bias=True)[0, 1]
    wanted /= x.var() + y.var() + (x.mean() - y.mean()) ** 2
    assert lip_motion.concordance(x, y).value() == pytest.approx(wanted)
    assert lip_motion.concordance(x, x).value() == pytest.approx(1)
    found = lip_motion.correlation(x, y).value()
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert lip_motion.amplitude(x, 0.6 * x + 1).value() == pytest.approx(0.6)


def test_frames_without_a_face_do_not_count():
    truth, other = speech(), speech() + 0.01 * speech(seed=1)
    there = np.arange(len(truth)) % 7 != 0
    holes = np.where(there, other, np.nan)
    for score in lip_motion.correlation, lip_motion.concordance, lip_motion.amplitude:
        wanted = score(truth[there], other[there]).value()
        assert score(truth, holes).value() == pytest.approx(wanted)
    still = np.full_like(truth, 0.05)
    assert lip_motion.correlation(truth, still).value() is None
    assert lip_motion.amplitude(truth, still).value() == pytest.approx(0, abs=1e-5)
    assert lip_motion.lag_ms(truth, still).value() is None
    assert lip_motion.lag_ms(truth, truth * np.nan).value() is None


@pytest.mark.parametrize("lag", [-90.0, -15.0, 0.0, 25.0, 60.0])
def test_lags_are_found_to_a_fraction_of_a_frame(lag):
    at = np.arange(200) / 25

    def opening(t):
        return sum(np.sin(2 * np.pi * f * t + f * f) for f in (0.9, 1.7, 2.3, 3.9))

    found = lip_motion.lag_ms(opening(at), opening(at - lag / 1000)).value()
    assert found == pytest.approx(lag, abs=2.6)


@pytest.mark.parametrize("seconds", [1.3, 4.0, 20.0])
def test_no_lag_is_claimed_where_the_lips_do_not_follow(seconds):
    for seed in range(0, 20, 2):
        pair = speech(seconds, seed), speech(seconds, seed + 1)
        claimed = lip_motion.lag_ms(*pair).value()
        assert claimed is None, (seed, claimed)


def test_lips_at_rest_have_no_lag():
    truth = speech(20.0)
    late = np.roll(truth, 2)
    assert lip_motion.lag_ms(truth, 0.2 * late).value() == 80
    at_rest = lip_motion.lag_ms(truth, 0.05 * late)
    assert at_rest.value() is None and at_rest.interval(25) is None


def test_intervals_hold_the_value_and_shrink_with_the_clip():
    widths = []
    for seconds in (4, 40):
        truth, noise = speech(seconds), speech(seconds, seed=1)
        score = lip_motion.correlation(truth, truth + noise)
        low, high = score.interval(25)
        assert low < score.value() < high
        widths.append(high - low)
    assert widths[1] < widths[0]
    assert lip_motion.correlation(truth[:20], truth[:20]).interval(25) is None
    assert bootstrap.draws(1) is None


def spoken(pauses, seconds=6.0, noise=1e-4):
    """Noise as loud as speech, with silent pauses (from, to) in seconds."""
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.normal(size=round(seconds * RATE))
    for start, stop in pauses:
        samples[round(start * RATE) : round(stop * RATE)] = 0
    return samples + noise * rng.normal(size=len(samples))


def test_silence_is_the_middle_of_a_pause():
    silent = silence.silent_frames(spoken([(2, 3), (4, 4.2)]), 150)
    found = np.flatnonzero(silent)
    # 50 to 75 is silent; a pause of five frames is too short.
    assert found.min() == 53 and found.max() == 70
    at_ends = silence.silent_frames(spoken([(0, 1), (5, 6)]), 150)
    assert at_ends[0] and at_ends[-1]
    assert not silence.silent_frames(spoken([]), 150).any()
    # A loud room is no reason to hear speech in the pause.
    loud = silence.silent_frames(spoken([(2, 3)], noise=5e-3), 150)
    assert loud[60]


def test_lips_leak_where_they_move_and_the_true_lips_rest():
    silent = np.zeros(150, bool)
    silent[50:90] = True
    truth = np.where(silent, 0.01, speech())
    assert silence.leakage(truth, truth, silent).value() == 0
    assert silence.lip_motion(truth, silent).value() == pytest.approx(0, abs=0.5)
    moving = truth.copy()
    moving[60:80] = 0.01 + 0.03 * (np.arange(20) % 2)
    found = silence.leakage(truth, moving, silent).value()
    assert found == pytest.approx(23 / 40)  # 61 to 79, and two on either side
    assert silence.lip_motion(moving, silent).value() > 10
    # The true lips smile there too: no leakage.
    assert silence.leakage(moving, moving, silent).value() == 0
    none = np.zeros(150, bool)
    assert silence.leakage(truth, moving, none).value() is None


def test_closures_are_those_that_the_true_lips_make():
    truth = np.full(100, 0.05)
    likely = np.zeros(100, bool)
    likely[[10, 30, 50, 70]] = True
    truth[[11, 29, 50]] = 0.003  # at 70 the phone was none
    score = closures.closure(truth, truth, likely)
    assert score.value() == 1 and score.terms[:, 1].sum() == 3
    missed = truth.copy()
    missed[50] = 0.03
    assert closures.closure(truth, missed, likely).value() == pytest.approx(2 / 3)
    assert closures.closure(missed, truth, likely).value() is None  # two closures


def test_likely_closures_follow_the_phones(monkeypatch):
    rows = np.zeros((80, len(sync.PHONES)))
    rows[21, sync.PHONES.index("M")] = 0.5
    rows[43, sync.PHONES.index("B")] = 0.2
    rows[60, sync.PHONES.index("AA")] = 0.9
    monkeypatch.setattr(sync, "phone_probabilities", lambda samples: rows)
    found = closures.likely_frames(np.zeros(80 * 160), 20)
    assert np.flatnonzero(found).tolist() == [5, 10]
    assert len(closures.likely_frames(np.zeros(80 * 160), 25)) == 25


def head(count=100, seed=0):
    """Landmarks of a still head, [F, 478, 3]."""
    rng = np.random.default_rng(seed)
    return np.tile(100 * rng.random((478, 3)), (count, 1, 1))


def test_wobble_is_the_fast_motion_of_the_head():
    still = head()
    width = np.linalg.norm(still[0, 234, :2] - still[0, 454, :2])
    assert dynamics.wobble(dynamics.head_path(still)).value() < 1e-6
    at = np.arange(100)
    shaken, slow, noisy = still.copy(), still.copy(), still.copy()
    shaken[..., 0] += 1.5 * (-1.0) ** at[:, None]
    slow[..., 0] += 10 * np.sin(at / 25)[:, None]
    noisy[..., :2] += np.random.default_rng(1).normal(size=(100, 478, 2))
    found = [dynamics.wobble(dynamics.head_path(x)).value() for x in (shaken, slow)]
    assert found[0] == pytest.approx(1000 * 1.5 / width, rel=0.15)
    assert found[1] < found[0] / 5
    # Noise of single landmarks is averaged away.
    assert dynamics.wobble(dynamics.head_path(noisy)).value() < found[0] / 3
    missing = shaken.copy()
    missing[10:13] = np.nan
    again = dynamics.wobble(dynamics.head_path(missing)).value()
    assert again == pytest.approx(found[0], rel=0.15)


def test_speeds_are_compared_without_their_moments():
    fast, slow = (np.sin(2 * np.pi * np.arange(200) / 25 * f) for f in (6, 0.5))
    assert dynamics.speed_difference(fast, fast).value() == 0
    assert dynamics.speed_difference(fast, 3 * np.roll(fast, 4)).value() < 0.05
    assert dynamics.speed_difference(fast, slow).value() > 0.8
    assert dynamics.speed_difference(fast, fast * 0).value() is None


def test_brows_are_measured_in_the_turned_face():
    face = head(1)
    raised = face.copy()
    turn = np.array([[0, -1], [1, 0]])
    turned = face.copy()
    turned[..., :2] = face[..., :2] @ turn.T
    found = [dynamics.brow_heights(x)[0] for x in (face, turned)]
    assert found[0] == pytest.approx(found[1])
    raised[..., :2] *= 2
    assert dynamics.brow_heights(raised)[0] == pytest.approx(found[0])


def test_a_clip_is_scored_with_its_sound():
    truth = head()
    events = motion_scores.sound_events(spoken([(1, 2)]), range(100))
    values, intervals = motion_scores.scores(truth, truth, events, 25)
    assert values["lip_correlation"] is None  # nothing moves
    assert values["silent_frames"] == 18 and values["silence_leakage"] == 0
    assert intervals["silence_leakage"] == [0, 0]
    assert motion_scores.sound_events(None, range(100)) is None
    assert motion_scores.scores(truth[:5], truth[:5], None, 25) == ({}, {})
    part = motion_scores.sound_events(spoken([(1, 2)]), range(30, 60))
    np.testing.assert_array_equal(part.silent, events.silent[30:60])


def test_the_composite_is_the_mean_nearness():
    scores = {
        "lip.sharpness": 0.3, "lip.sharpness_truth": 0.4,
        "frame.cpbd": 0.5, "frame.cpbd_truth": 0.5,
        "motion.lip_amplitude": 0.6, "motion.head_amplitude": 1.1,
        "motion.brow_amplitude": 2.5,
    }  # fmt: skip
    parts = composite.parts(scores)
    assert parts["mouth"] == pytest.approx(0.75) and parts["silence"] is None
    assert parts["brows"] == 0
    wanted = (0.75 + 1 + 0.6 + 0.9 + 0) / 5
    assert composite.composite(parts) == pytest.approx(wanted)
    del scores["motion.brow_amplitude"]
    assert composite.composite(composite.parts(scores)) is None
    assert len(composite.RESPECTS) == 8


def test_the_composite_has_an_interval_and_leaves_other_places_out():
    class Anywhere:
        def faces(self, rgb):
            return []

    def scored(**more):
        found = ClipScores((Anywhere(), Anywhere()))
        found.more |= more
        for index in range(120):
            true = (255 * rng.uniform(size=(24, 24, 3))).astype(np.uint8)
            soft = cv2.GaussianBlur(true, None, 0.4 + 0.2 * (index > 60))
            found.add(index, true, soft / np.float32(255), lambda _: masks)
        found.faces = faces
        return found.result()

    rng = np.random.default_rng(0)
    masks = np.ones((24, 24, 4), np.float32)
    truth = head(count=120) + rng.normal(size=(120, 478, 3))
    faces = SimpleNamespace(
        truth=truth, prediction=truth * [1, 0.99, 1], blendshapes=lambda: None
    )
    here = scored()
    low, high = here["intervals"]["composite"]
    assert low < here["composite"] < high < low + 0.2
    elsewhere = scored(same_framing=False)
    assert elsewhere["composite_parts"]["mouth"] is None
    # Without the lips' sharpness too little is known.
    assert here["composite_parts"]["mouth"] is not None
    assert elsewhere["composite"] is None
    assert elsewhere["intervals"]["composite"] is None
