"""Each score of motion moves for its own fault and stays for the others.

Landmarks of a piece of a real clip are spoiled in one way at a time, see
`benchmarks.faults`.
"""

import clips
import numpy as np
import pytest

from benchmarks import faults, score_sensitivity

SPAN = range(300, 480)  # of speaker_b: three silences, closures at p, b and m
# Scores that may move with a fault beside its own: smaller or frozen lips do not close
# either, and so on.
FOLLOWS = {
    "lip_amplitude": {"frozen lips", "no closures", "leaking lips"},
    "lip_concordance": {
        "small lips", "frozen lips", "late", "no closures", "leaking lips",
    },
    "closure": {"small lips", "frozen lips"},
    "silence_leakage": set(),
    "lip_lag_ms": {"frozen lips"},
    "wobble": {"jitter", "still head"},
    "head_amplitude": set(),
    "eye_ratio_error": set(),
    "jitter_px": {"wobble", "still head"},
}  # fmt: skip


@pytest.fixture(scope="module")
def footage():
    path = clips.CLIPS / "dev" / "speaker_b.mp4"
    model = clips.SHARED / "models" / "face_landmarker.task"
    if not (path.is_file() and model.is_file()):
        pytest.skip("the development clips or the face model are not here")
    return faults.load(path, model, SPAN)


@pytest.fixture(scope="module")
def scores(footage):
    """Scores of each fault, and of none."""
    found = {"none": score_sensitivity.motion(footage, footage.again)}
    for fault, (spoil, strength, _) in faults.MOTION.items():
        found[fault] = score_sensitivity.motion(footage, spoil(footage, strength))
    return found


def off(scores, fault, name):
    """How far a fault moves a score; infinite where it has none any more."""
    return abs(scores[fault].get(name, np.inf) - scores["none"][name])


@pytest.mark.clips
@pytest.mark.parametrize("name", FOLLOWS)
def test_a_score_moves_for_its_own_fault_and_stays_for_the_others(scores, name):
    own = [k for k, score in score_sensitivity.OWN.items() if score == name]
    moved = {fault: off(scores, fault, name) for fault in faults.MOTION}
    least = min(moved[fault] for fault in own or FOLLOWS[name])
    assert least > 0
    for fault in set(faults.MOTION) - set(own) - FOLLOWS[name]:
        assert moved[fault] < 0.15 * least, fault


@pytest.mark.clips
def test_faults_have_the_scores_that_they_were_made_with(scores):
    assert scores["small lips"]["lip_amplitude"] == pytest.approx(0.6, abs=0.05)
    assert scores["late"]["lip_lag_ms"] == pytest.approx(40, abs=2.6)
    assert scores["still head"]["head_amplitude"] == pytest.approx(0.5, abs=0.1)
    assert scores["leaking lips"]["silence_leakage"] > 0.6
    assert scores["no closures"]["closure"] < 0.3
    # Landmarks found again are nearly the same.
    assert scores["none"]["lip_concordance"] > 0.97
    assert scores["none"]["silence_leakage"] == 0 and scores["none"]["closure"] == 1


@pytest.mark.clips
def test_stronger_faults_score_worse(footage, scores):
    right = pairs = 0
    for fault, (spoil, _, grades) in faults.MOTION.items():
        graded = [score_sensitivity.motion(footage, spoil(footage, g)) for g in grades]
        own = score_sensitivity.OWN[fault]
        best = scores["none"][own]
        found = score_sensitivity.ranked_rightly(graded, own, best)
        right, pairs = right + found[0], pairs + found[1]
    assert pairs == 54 and right / pairs >= 0.95
