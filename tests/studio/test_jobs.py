"""The queue: order, progress, failures, stops, restarts."""

import dataclasses
import errno
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from lokitalk_jax.studio import folders as studio_folders
from lokitalk_jax.studio import processes
from lokitalk_jax.studio.jobs import Job, Jobs


@pytest.fixture
def root(tmp_path):
    studio_folders.Folders(tmp_path)
    return tmp_path


@pytest.fixture
def jobs(root):
    queue = Jobs(root)
    queue.start()
    yield queue
    queue.close()


def until(jobs, key, *states):
    end = time.monotonic() + 30
    while True:
        job = next(job for job in jobs.listed() if job["key"] == key)
        if job["state"] in states:
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)


def until_it_reports(jobs, key):
    while not until(jobs, key, "waiting", "running")["stages"]:
        time.sleep(0.02)


def test_jobs_run_one_after_the_other_and_report(jobs, scripts):
    scripts["prepare"] = "report('frames', 0, 9); report('frames', 9, 9, 0.0)"
    scripts["train"] = "report('training', 3, 10, 7.5); time.sleep(0.3)"
    first = jobs.add("anna", "prepare", ["prepare"])
    second = jobs.add("bert", "train", ["train"])
    third = jobs.add("anna", "train", ["train"])
    assert until(jobs, third.key, "waiting")["place"] in (1, 2)
    done = until(jobs, third.key, "done")
    assert [s["done"] for s in done["stages"]] == [3]
    listed = {job["key"]: job for job in jobs.listed()}
    assert listed[first.key]["stages"][0]["done"] == 9
    assert listed[first.key]["command"] == "lokitalk prepare"
    order = [listed[job.key] for job in (first, second, third)]
    for one, other in zip(order, order[1:], strict=False):
        assert one["ended"] <= other["started"]


def test_a_failure_says_why_in_the_words_of_the_command(jobs, root, scripts):
    scripts["prepare"] = (
        "print('12:00:00 looking', file=sys.stderr)\n"
        f"sys.exit('lokitalk prepare: {root}/clips/x.mp4 shows nobody')"
    )
    job = jobs.add("anna", "prepare", ["prepare"])
    assert until(jobs, job.key, "failed")["message"] == "clips/x.mp4 shows nobody"


def test_advice_on_the_page_names_no_flag(jobs, scripts):
    scripts["prepare"] = """
from lokitalk_jax.cli import terminal
text = "x.mp4 has no audio stream; pass audio=False to prepare a silent identity"
sys.exit("lokitalk prepare: " + terminal.as_flags(text, ["no-audio"]))
"""
    job = jobs.add("anna", "prepare", ["prepare"])
    message = until(jobs, job.key, "failed")["message"]
    assert message == "x.mp4 has no audio stream; take one in which somebody speaks"


def test_a_killed_command_is_named_as_such(jobs, scripts):
    scripts["train"] = "report('training', 1, 9)\nos.kill(os.getpid(), 9)"
    job = jobs.add("anna", "train", ["train"])
    message = until(jobs, job.key, "failed")["message"]
    assert "killed (SIGKILL)" in message and "start it again" in message


def test_a_full_disk_ends_neither_the_queue_nor_a_command(jobs, scripts, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    scripts["train"] = "time.sleep(1)"
    first = jobs.add("anna", "train", ["train"])
    second = jobs.add("ben", "train", ["train"])
    until(jobs, first.key, "running")
    monkeypatch.setattr(jobs, "_save", full)
    with pytest.raises(OSError, match="No space"):
        jobs.add("carl", "train", ["train"])
    for job in first, second:
        assert until(jobs, job.key, "done", "failed")["state"] == "done"
    assert len(jobs.listed()) == 2


def test_a_line_of_progress_that_was_cut_off_is_passed_over(jobs, scripts):
    scripts["train"] = (
        "report('training', 1, 9)\n"
        "with open(os.environ['LOKITALK_PROGRESS'], 'a') as file:\n"
        '    file.write(\'{"stage": "trai\')\n'
        "report('training', 2, 9); report('training', 3, 9)"
    )
    job = jobs.add("anna", "train", ["train"])
    assert [stage["done"] for stage in until(jobs, job.key, "done")["stages"]] == [3]


def test_the_same_is_not_queued_twice(jobs, scripts):
    scripts["train"] = "time.sleep(30)"
    job = jobs.add("anna", "train", ["train"])
    with pytest.raises(ValueError, match="anna: train is waiting or running already"):
        jobs.add("anna", "train", ["train"])
    jobs.stop(job.key)
    until(jobs, job.key, "stopped")


def test_a_stopped_command_may_save(jobs, root, scripts):
    scripts["train"] = (
        "import signal\n"
        "def save(*_):\n    open('saved', 'w').close()\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nreport('training', 1, 2)\n"
        "time.sleep(30)"
    )
    job = jobs.add("anna", "train", ["train"])
    until_it_reports(jobs, job.key)
    jobs.stop(job.key)
    assert until(jobs, job.key, "stopped", "failed")["state"] == "stopped"
    assert (root / "saved").exists()


def test_a_job_that_ran_when_the_server_ended_runs_again(root, scripts):
    scripts["train"] = "open('runs/log', 'a').write('x'); time.sleep(30)"
    first = Jobs(root)
    first.start()
    job = first.add("anna", "train", ["train"])
    while not (root / "runs" / "log").exists():
        time.sleep(0.02)
    first.close()
    assert until(first, job.key, "waiting")["message"] == ""
    scripts["train"] = "open('runs/log', 'a').write('y')"
    second = Jobs(root)
    second.start()
    until(second, job.key, "done")
    second.close()
    assert (root / "runs" / "log").read_text("utf-8") == "xy"


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_command_that_outlived_a_killed_server_is_ended_first(root, scripts):
    scripts["train"] = "pass"
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    threading.Thread(target=process.wait).start()  # as the system does
    job = Job("a1", "anna", "train", ["train"], state="running")
    job.process = processes.identity(process.pid)
    text = json.dumps(dataclasses.asdict(job))
    (root / "jobs" / "a1.json").write_text(text, "utf-8")
    after = Jobs(root)
    assert process.poll() == -signal.SIGTERM
    after.start()
    until(after, "a1", "done")
    after.close()


def test_a_stop_just_before_the_start_is_heeded(jobs, root, scripts, monkeypatch):
    scripts["train"] = "open('ran', 'w').close()"
    following = jobs._next

    def stopped_at_once():
        if job := following():
            jobs.stop(job.key)
        return job

    monkeypatch.setattr(jobs, "_next", stopped_at_once)
    job = jobs.add("anna", "train", ["train"])
    until(jobs, job.key, "stopped", "done")
    jobs.close()
    until(jobs, job.key, "stopped")
    assert not (root / "ran").exists()


_SLOW_TO_STOP = """
import signal
def save(*_):
    time.sleep(1)
    sys.exit({})
signal.signal(signal.SIGTERM, save)
report('training', 1, 2)
time.sleep(30)
"""


def test_what_was_stopped_does_not_wait_for_the_next_server(root, scripts):
    scripts["train"] = _SLOW_TO_STOP.format(75)
    first = Jobs(root)
    first.start()
    job = first.add("anna", "train", ["train"])
    until_it_reports(first, job.key)
    first.stop(job.key)
    path = root / "jobs" / f"{job.key}.json"
    before = json.loads(path.read_text("utf-8"))
    first.close()
    until(Jobs(root), job.key, "stopped")
    # As a server leaves it that is killed before the command has saved.
    path.write_text(json.dumps(before | {"process": None}), "utf-8")
    until(Jobs(root), job.key, "stopped")


def test_what_is_done_when_the_server_ends_is_not_repeated(root, scripts):
    scripts["train"] = _SLOW_TO_STOP.format(0)
    first = Jobs(root)
    first.start()
    job = first.add("anna", "train", ["train"])
    until_it_reports(first, job.key)
    first.close()
    until(Jobs(root), job.key, "done")
