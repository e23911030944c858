import json

import pytest

from lokitalk_jax import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_stage_reports_its_start_each_item_and_the_seconds_left(clock):
    reports = []
    items = progress.track("abcd", lambda *given: reports.append(given), "spelling", 4)
    for _ in items:
        clock[0] += 2.0
    assert reports == [
        ("spelling", 0, 4, None),
        ("spelling", 1, 4, 6.0),
        ("spelling", 2, 4, 4.0),
        ("spelling", 3, 4, 2.0),
        ("spelling", 4, 4, 0.0),
    ]


def test_items_of_an_earlier_call_do_not_count_as_fast(clock):
    reports = []
    stage = progress.Stage(lambda *given: reports.append(given), "frames", 100, done=90)
    clock[0] = 3.0
    stage.advance()
    assert reports == [("frames", 90, 100, None), ("frames", 91, 100, 27.0)]


def test_nobody_need_listen_and_a_total_may_be_unknown():
    assert list(progress.track("ab", None, "spelling")) == ["a", "b"]
    reports = []
    list(progress.track("ab", lambda *given: reports.append(given), "spelling"))
    assert [given[1:] for given in reports] == [(n, None, None) for n in range(3)]


def test_the_callback_can_end_the_call():
    class Stop(Exception):
        pass

    def callback(stage, done, total, seconds_left):
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        list(progress.track(range(5), callback, "counting", 5))


def test_the_bar_has_a_line_for_each_stage(capsys):
    with progress.Bar() as bar:
        for stage in "frames", "masks":
            list(progress.track(range(3), bar, stage, 3))
        list(progress.track(range(2), bar, "frames"))
    written = capsys.readouterr().err
    assert "frames: 100%" in written and "masks: 100%" in written
    assert written.count("3/3") >= 2 and written.rstrip().split("\r")[-1].startswith(
        "frames: 2"
    )


def test_other_processes_read_lines_of_json(tmp_path, monkeypatch, clock):
    monkeypatch.setenv("LOKITALK_PROGRESS", str(tmp_path / "progress.jsonl"))
    with progress.Bar() as bar:
        for _ in progress.track(range(100), bar, "frames", 100):
            clock[0] += 0.05
        list(progress.track("ab", bar, "masks"))
    text = (tmp_path / "progress.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0] == dict(stage="frames", done=0, total=100, seconds_left=None)
    assert 20 <= len(lines) <= 30  # not one for each frame
    last = [line for line in lines if line["stage"] == "frames"][-1]
    assert last["done"] == 100 and last["seconds_left"] == 0
    assert lines[-1]["stage"] == "masks" and lines[-1]["total"] is None
