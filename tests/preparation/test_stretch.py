import numpy as np
import pytest

from lokitalk_jax.preparation import stretch
from lokitalk_jax.preparation.survey import Survey, sample_times


def survey(seconds, cuts=(), faceless=(), rivals=()):
    """A survey at 25 fps, searched every 0.52 s; bad stretches are in seconds."""
    times = np.arange(round(seconds * 25)) / 25
    sampled = sample_times(times)

    def inside(stretches):
        found = np.zeros(len(sampled), bool)
        for begin, end in stretches:
            found |= (sampled >= begin) & (sampled < end)
        return found

    boxes = np.tile(np.float32([10, 10, 40, 50]), (len(sampled), 1))
    boxes[inside(faceless)] = np.nan
    changes = np.ones(len(times), np.float32)
    return Survey(times, changes, np.array(cuts, float), boxes, inside(rivals))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (survey(8), (0.0, None)),
        (survey(20, faceless=[(4, 5)]), (0.0, None)),  # a tenth: allowed
        (survey(12, cuts=[4.0]), (4.0, 12.0)),
        (survey(12, cuts=[5.0, 9.0]), (0.0, 5.0)),
        (survey(10, faceless=[(6, 10)]), (0.0, 5.72)),
        (survey(10, rivals=[(0, 3)]), (3.12, 10.0)),
        (survey(16, cuts=[9.0], faceless=[(0, 4)]), (9.0, 16.0)),
        (survey(16, cuts=[10.0], faceless=[(0, 2)], rivals=[(11, 16)]), (2.08, 10.0)),
        (survey(5, cuts=[2.5]), (0.0, None)),  # too short: left to `survey.check`
        (survey(6, faceless=[(0, 6)]), (0.0, None)),
    ],
)
def test_the_longest_usable_stretch(found, expected):
    kept, *span = stretch.trim(found, 0.0, None)
    assert tuple(span) == pytest.approx(expected)
    if span[1] is None:
        assert kept is found
        return
    begin, end = span
    inside = (found.times >= begin - 1e-6) & (found.times < end - 1e-6)
    np.testing.assert_array_equal(kept.times, found.times[inside])
    assert len(kept.changes) == len(kept.times) and not len(kept.cuts)
    assert len(kept.boxes) == len(kept.rivals)
    assert np.isnan(kept.boxes[:, 0]).mean() < 0.2 and kept.rivals.mean() < 0.1


def test_searched_frames_are_half_a_second_apart():
    times = np.arange(40) / 30
    np.testing.assert_allclose(sample_times(times), [0, 0.5, 1.0])
