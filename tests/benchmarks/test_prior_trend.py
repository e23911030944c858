"""The slope of scores over the number of people in a prior."""

import json

import pytest

from benchmarks import prior_trend


def test_a_slope_is_the_change_for_twice_as_many_people():
    scores = {
        5: {"ann": {"head_psnr": 20.0}, "bob": {"head_psnr": 30.0}},
        10: {"ann": {"head_psnr": 21.0}, "bob": {"head_psnr": 30.0}},
        40: {"ann": {"head_psnr": 23.0}, "bob": {"head_psnr": 30.0}},
    }
    found = prior_trend.slopes(scores)
    assert (found["people"], found["head_psnr_change"]) == (2, 0.5)
    assert found["head_psnr_change_ci95"] == pytest.approx(12.706 * 0.5, abs=0.01)


def test_priors_are_tested_on_the_same_persons():
    one, two = {"ann": {"head_psnr": 20.0}}, {"bob": {"head_psnr": 20.0}}
    with pytest.raises(ValueError, match="different persons"):
        prior_trend.slopes({5: one, 10: two})


def test_lines_of_adapted_persons_and_of_persons_before_training(tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    flags = [str(tmp_path)]
    for i, people in enumerate((5, 10, 20)):
        for name in ("ann", "bob"):
            end = {"head": 20.0 + i, "lip": 25.0 - i, "frame": 22.0}
            cell = {"identity": name, "seconds": 5.0, "choose": "best", "seed": 0}
            cell |= {"method": f"{people}:mean/free", "curve": [end]}
            path = tmp_path / "cells" / f"{name}-{people}.json"
            path.write_text(json.dumps(cell))
        starts = {
            "encoder": {"head": {"psnr": 17.0 + 2 * i}, "nearest_face_is_own": i / 2},
            "mean": {"head": {"psnr": 14.0}},
        }
        path = tmp_path / f"{people}.json"
        path.write_text(json.dumps({"ann": starts, "bob": starts}))
        flags.append(f"--prior={people}={people}={path}")
    prior_trend.main(flags)
    after, before = map(json.loads, capsys.readouterr().out.splitlines())
    assert after["task"] == "twice as many people: adapted"
    assert (after["head_psnr_change"], after["lip_psnr_change"]) == (1, -1)
    assert (before["head_psnr_change"], before["share_of_own_face_change"]) == (2, 0.5)
