"""Tables of the results and of the README are what the recorded lines say."""

import json
import re

import pytest

from benchmarks import record, summary

RESULTS = summary.read()


@pytest.mark.parametrize("page", summary.pages(), ids=lambda page: page.stem)
def test_tables_of_a_page_are_made_of_the_recorded_lines(page):
    links = "" if page.parent.name == "results" else "results/"
    text = page.read_text()
    assert summary.fill(text, RESULTS, links) == text, "python -m benchmarks.summary"


@pytest.mark.parametrize("experiment", RESULTS)
def test_every_line_says_what_was_measured_where_and_how(experiment):
    for line in RESULTS[experiment]:
        assert set(summary.REQUIRED) <= set(line), line
        assert line["experiment"] == experiment
        assert re.fullmatch("[0-9a-f]{7,40}", line["commit"])
        assert all(line[key] for key in ("task", "machine", "command")), line
        metrics = set(line) - set(summary.REQUIRED)
        assert any(type(line[key]) in (int, float) for key in metrics), line


@pytest.mark.parametrize("experiment", RESULTS)
def test_every_experiment_has_a_page(experiment):
    page = summary.ROOT / "results" / f"{experiment}.md"
    assert f"<!-- table {experiment}" in page.read_text()


def test_the_readme_and_the_summary_show_recorded_figures():
    for name in "README.md", "results/README.md":
        text = (summary.ROOT / name).read_text()
        assert re.search(r"<!-- (table|summary)\s", text)
        assert re.search(r"\d\d\.\d\d \(\d\d\.\d\d to \d\d\.\d\d\)", text)


LINES = {
    "speed": [
        {"task": "fast", "clip": "a", "seeds": [0], "frame_psnr": 30.0, "size": 64},
        {"task": "fast", "clip": "a", "seeds": [1], "frame_psnr": 31, "size": 64},
        {"task": "slow", "clip": "b", "frame_psnr_change": -1.5, "size": 96}
        | {"frame_psnr_change_ci95": 0.25},
    ]
}


def test_lines_of_a_row_are_shown_as_mean_and_range():
    text = summary.table(LINES, "speed[task=fast]; rows: clip; columns: frame_psnr")
    assert text.splitlines()[0] == "| clip | frame PSNR, dB |"
    assert text.splitlines()[2] == "| a | 30.50 (30.00 to 31.00) |"
    by_seed = summary.table(LINES, "speed; rows: seeds; columns: frame_psnr")
    assert [row.split(" | ")[1] for row in by_seed.splitlines()[2:]] == [
        "30.00 |",
        "31.00 |",
        "- |",
    ]


def test_a_table_across_clips_has_a_column_for_each():
    request = "speed; rows: size; columns: frame_psnr; across: clip"
    heads, _, small, large = summary.table(LINES, request).splitlines()
    assert heads == "| size | a | b |"
    assert small == "| 64 | 30.50 (30.00 to 31.00) | - |" and large == "| 96 | - | - |"


def test_intervals_stand_behind_their_value():
    request = "speed[task=slow]; rows: task; columns: frame_psnr_change"
    assert "| slow | -1.50 ± 0.25 |" in summary.table(LINES, request)


def test_a_table_of_lines_that_are_not_there_is_refused():
    with pytest.raises(ValueError, match=r"speed\[task=none\]"):
        summary.table(LINES, "speed[task=none]; rows: clip; columns: frame_psnr")


def test_an_evaluation_becomes_a_line_for_each_identity_and_driver():
    scores = {"frame": {"psnr": 30.123456, "ssim": None}, "lmd_px": 0.5}
    scores["intervals"] = {"lmd_px": [0.4, 0.6]}
    header = {"protocol": "full", "size": 64, "step": 9, "config_hash": "x"}
    identities = {"ann": {"audio": scores, "still": scores}}
    common = {"experiment": "quality", "protocol": None, "clip": None}
    found = record.lines(json.dumps(header | {"identities": identities}), common)
    assert [(x["clip"], x["driven_by"]) for x in found] == [
        ("ann", "audio"),
        ("ann", "still"),
    ]
    assert found[0]["protocol"] == "full" and found[0]["frame_psnr"] == 30.12346
    assert not {"intervals_lmd_px", "frame_ssim", "config_hash"} & set(found[0])


def test_lines_of_a_benchmark_keep_their_numbers():
    printed = 'noise\n{"benchmark": "grid", "ms": {"ours": 3.25}, "all": [1, 2]}\n'
    (found,) = record.lines(printed, {"task": "points", "size": None})
    assert found == {
        "task": "points",
        "size": None,
        "benchmark": "grid",
        "ms_ours": 3.25,
    }


def test_figures_in_the_prose_of_the_readme_are_recorded():
    """Decimals of a paragraph that links to results are values of their lines."""
    seen = 0
    for paragraph in (summary.ROOT / "README.md").read_text().split("\n\n"):
        named = set(re.findall(r"results/(\w+)\.md", paragraph)) & set(RESULTS)
        if not named or paragraph.startswith("<!--"):
            continue
        lines = [line for name in named for line in RESULTS[name]]
        values = [v for line in lines for v in line.values() if type(v) is float]
        for figure in re.findall(r"(?<![\w.=])\d+\.\d+(?![\w.])", paragraph):
            digits = len(figure.partition(".")[2])
            assert any(f"{abs(v):.{digits}f}" == figure for v in values), figure
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("page", summary.pages(), ids=lambda page: page.stem)
def test_a_page_compares_with_no_goal_that_its_readers_never_saw(page):
    assert not re.search(r"\b(goals?|targets?|wanted)\b", page.read_text())
