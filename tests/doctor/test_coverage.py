import doctor_folder
import numpy as np
import pytest
import tiny_folder
from doctor_folder import COUNT

from lokitalk_jax.doctor import coverage

GOOD = doctor_folder.good_tracks()
STILL = np.tile(np.eye(4, dtype=np.float32), (COUNT, 1, 1))


def found_in(tracks):
    return {one.check: one.seen for one in coverage.examine(tracks)}


def test_a_head_that_turns_speaks_and_blinks_is_only_short():
    assert list(found_in(GOOD)) == ["short"]


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"lips": GOOD.lips[[6] * COUNT]}, "no_open_mouth", "0.00 of its width"),
        ({"lips": GOOD.lips[[13] * COUNT]}, "no_closed_mouth", "never close"),
        ({"eye_ratio": GOOD.eye_ratio[[0] * COUNT]}, "no_blink", "no blink in 2 s"),
        ({"head_to_camera": STILL}, "little_turn", "0.0 degrees"),
    ],
)
def test_what_a_clip_does_not_show_is_noted(changes, check, words):
    assert words in found_in(GOOD._replace(**changes))[check]


def test_the_best_stretches_are_named():
    tracks = tiny_folder.tracks(700, 48, 64)
    still = tracks.lips.copy()
    still[:300] = still[0]
    seen = found_in(tracks._replace(lips=still))["best_seconds"]
    starts = [float(part.split()[-2]) for part in seen.split(": ")[1].split(", ")]
    assert len(starts) == 2  # of 5 and 10 s; 20 s are most of the clip
    assert starts[0] >= 10 and starts[1] >= 8
