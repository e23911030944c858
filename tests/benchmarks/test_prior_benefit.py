"""Priors: the grid of methods, its configs and its report."""

import json

import pytest

from benchmarks import (
    held_out_scores,
    prior_benefit,
    prior_benefit_lines,
    prior_benefit_report,
    zero_shot_lines,
)


def curve(*heads):
    return [
        {"step": i, "cpu_seconds": 10.0 * i, "head": head, "frame": head + 1}
        | {"lip": head - 1, "lpips": 0.01, "lmd_px": 0.2}
        for i, head in enumerate(heads)
    ]


def cell(method, *heads, identity="ann", choose="first"):
    names = {"identity": identity, "seconds": 5.0, "method": method, "seed": 0}
    names["choose"] = choose
    return names | {"curve": curve(*heads)}


def test_identities_of_one_source_are_left_out_together():
    groups = prior_benefit.sources(["a", "b", "c", "d"], ["c+d"])
    assert groups["a"] == {"a"} and groups["c"] == groups["d"] == {"c", "d"}
    with pytest.raises(ValueError, match="no identity e"):
        prior_benefit.sources(["a", "b"], ["a+e"])


def test_a_prior_is_compared_with_scratch_on_the_same_video():
    cells = [
        cell("scratch", 20, 24, 28, 28),
        cell("encoder/free", 26, 30, 31, 31),
        cell("encoder/free", 26, 30, 31, 31, identity="bob"),
        cell("encoder/free", 26, 30, 31, 31, choose="best"),
    ]
    rows = prior_benefit_report.table(cells).splitlines()[2:]
    assert [row.split("|")[-3].strip() for row in rows] == ["20.0", "5.0", "-", "-"]
    assert rows[1].split("|")[-2].strip() == "0.17"


def test_a_report_has_a_table_a_figure_and_all_cells(tmp_path):
    (tmp_path / "cells").mkdir()
    cells = [cell("scratch", 20, 24), cell("mean/slow", 25, 27)]
    for i, one in enumerate(cells):
        (tmp_path / "cells" / f"{i}.json").write_text(json.dumps(one))
    prior_benefit_report.write(tmp_path)
    assert json.loads((tmp_path / "transfer.json").read_text()) == cells
    assert "mean/slow" in (tmp_path / "transfer.md").read_text()
    assert (tmp_path / "transfer.png").stat().st_size > 2000


def test_cells_train_the_same_number_of_steps(tmp_path):
    scratch = prior_benefit.configure("scratch", tmp_path, None, 5, 1)
    adapted = prior_benefit.configure(
        "mean/slow", tmp_path, tmp_path / "prior", 5, 1, choose="best"
    )
    assert scratch.train.steps == adapted.train.steps
    assert (adapted.start, adapted.shared) == ("mean", "slow")
    assert scratch.data.max_seconds == adapted.data.max_seconds == 5
    assert (scratch.data.choose, adapted.data.choose) == ("first", "best")


def test_given_priors_stand_in_for_each_method_that_has_one():
    assert prior_benefit.columns(["scratch", "mean/free"], []) == [
        "scratch",
        "mean/free",
    ]
    found = prior_benefit.columns(["scratch", "mean/free"], ["demo", "one"])
    assert found == ["scratch", "demo:mean/free", "one:mean/free"]


def test_a_given_prior_has_a_name():
    with pytest.raises(ValueError, match="NAME=RUN"):
        held_out_scores.named_runs(["runs/demo"])


def test_a_column_of_a_given_prior_is_configured_by_its_method(tmp_path):
    config = prior_benefit.configure(
        "demo:encoder/slow", tmp_path, tmp_path / "p", 5, 0
    )
    assert (config.start, config.shared) == ("encoder", "slow")
    assert config.prior == str(tmp_path / "p")


def test_lines_compare_cells_of_one_video_and_average_over_people():
    cells = [
        cell("scratch", 20, 24, 28, 28, 28),
        cell("base:mean/slow", 27, 28, 31, 31, 30),
        cell("scratch", 20, 24, 28, 28, 28, identity="bob"),
        cell("base:mean/slow", 20, 22, 24, 26, 27, identity="bob"),
        cell("scratch", 20, 24, 28, 28, 29, choose="best"),
    ]
    found = prior_benefit_lines.lines(cells)
    ends = [one for one in found if one["task"] == "adapting"]
    assert [one["head_psnr"] for one in ends] == [28, 30, 28, 27, 29]
    ann, bob = (one for one in found if one["task"] == "against scratch")
    assert (ann["head_psnr_change"], ann["best_head_psnr_change"]) == (2, 3)
    assert ann["share_of_scratch"] == 0.25 and "share_of_scratch" not in bob
    (mean,) = (one for one in found if one["task"] == "against scratch (mean)")
    assert (mean["people"], mean["head_psnr_change"]) == (2, 0.5)
    assert mean["head_psnr_change_ci95"] == pytest.approx(12.706 * 1.5, abs=0.01)
    # One who never gets there counts as the whole time.
    assert mean["share_of_scratch"] == pytest.approx(0.625, abs=0.01)
    assert mean["people_in_quarter_of_time"] == 1
    (choice,) = (one for one in found if one["task"] == "best against first seconds")
    assert (choice["clip"], choice["head_psnr_change"]) == ("ann", 1)
    assert "share_of_scratch" not in choice


def test_lines_compare_with_any_method():
    cells = [
        cell("scratch", 20, 24),
        cell("5:mean/free", 25, 27),
        cell("80:mean/free", 25, 28),
    ]
    found = prior_benefit_lines.lines(cells, "5:mean/free")
    changes = {
        one["method"]: one["head_psnr_change"]
        for one in found
        if one["task"] == "against 5:mean/free"
    }
    assert changes == {"scratch": -3, "80:mean/free": 1}


def test_lines_follow_the_steps_and_the_best_one():
    cells = [
        cell("scratch", 20, 24, 28),
        cell("5:mean/free", 25, 29, 28),
        cell("scratch", 20, 25, 27, identity="bob"),
        cell("5:mean/free", 24, 27, 28, identity="bob"),
    ]
    found = prior_benefit_lines.lines(cells)
    of_prior = [one for one in found if one["method"] == "5:mean/free"]
    steps = [one for one in of_prior if one["task"] == "steps against scratch"]
    assert [one["steps"] for one in steps] == [0, 1, 2]
    assert [one["head_psnr"] for one in steps] == [24.5, 28, 28]
    assert [one["head_psnr_change"] for one in steps] == [4.5, 3.5, 0.5]
    task = "stopped at the best head (mean)"
    (stop,) = (one for one in of_prior if one["task"] == task)
    assert (stop["head_psnr_change"], stop["stops_early"]) == (0.5, 0.5)


def test_lines_before_training_average_over_people():
    def scores(head, own=None):
        found = {"head": {"psnr": head}, "frame": {"lpips_alex": 0.1}}
        return found | ({} if own is None else {"nearest_face_is_own": own})

    starts = {"encoder": scores(20, 1.0), "mean": scores(16, 0.0), "other": scores(12)}
    other = starts | {"encoder": scores(18, 0.5)}
    *each, mean = zero_shot_lines.lines({"ann": starts, "bob": other})
    assert [one["head_psnr"] for one in each] == [20, 16, 12, 18, 16, 12]
    assert "share_of_own_face" not in each[2]
    assert (mean["clip"], mean["head_psnr_change"]) == ("2 people", 3)
    assert mean["share_of_own_face"] == 0.75 and mean["head_psnr_change_ci95"] > 0
