"""Drills of interrupted runs on the SLURM of `slurm_drill.sh`.

    benchmarks/slurm_drill.sh [--only=preemption,kill] [--runs=FOLDER]

Each drill submits the script of docs/multi_host.md, with fewer nodes and a small model,
interrupts it, and compares its checkpoints with those of an uninterrupted run, bit for
bit; on another number of nodes, within a bound. Prints a JSON line for each drill, and
ends with 1 if one of them failed.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import tempfile
import time

from absl import logging as absl_logging

from benchmarks import checkpoint_arrays, slurm_jobs, small_model
from benchmarks.slurm_jobs import EVERY, LATE, STEPS, Failure, Field

# Largest distance between runs on other numbers of nodes, as a share of how far an
# array moved since then.
APART = 0.01


def uninterrupted(field: Field) -> str:
    """Twice the same run, to the same bits."""
    field.base()
    again = field.submit("again")
    again.finish()
    return field.compare(again)


def preemption(field: Field, nodes: int = 2) -> str:
    """A job of higher priority takes the nodes."""
    job = field.submit(f"preempted{nodes}", nodes=nodes)
    job.reach(2 * EVERY)
    field.occupy()
    job.says("stopping at step", nodes)
    slurm_jobs.until(job.restarts, "its restart")
    job.finish()
    left = re.findall(r"stopping at step (\d+): SIGTERM", job.log())
    slurm_jobs.expect(len(left) == nodes and len(set(left)) == 1, f"stopped at {left}")
    return f"saved {left[0]}, came back by itself; {field.compare(job, nodes)}"


def four_preempted(field: Field) -> str:
    """The same with four processes."""
    return preemption(field, nodes=4)


def requeue(field: Field) -> str:
    """`scontrol requeue`."""
    job = field.submit("requeued")
    job.reach(2 * EVERY)
    slurm_jobs.command("scontrol", "requeue", job.number)
    slurm_jobs.until(job.restarts, "its restart")
    job.finish()
    return f"came back after the signal; {field.compare(job)}"


def early_term(field: Field) -> str:
    """SIGTERM before the first step of a run that resumes."""
    field.begun("early", LATE)
    job = field.submit("early")
    job.says(f"at step {LATE}", 2)
    slurm_jobs.command("scancel", "--signal=TERM", job.number)
    slurm_jobs.until(job.restarts, "its restart")
    job.finish()
    slurm_jobs.expect(LATE + 1 in job.saved(), f"saved {job.saved()}")
    found = field.compare(job, from_step=LATE + 1)
    return f"saved {LATE + 1}, came back by itself; {found}"


def time_limit(field: Field) -> str:
    """The time limit, in a run that compiles for most of it."""
    field.begun("limited", LATE)
    # The signal comes after 20 seconds, and compiling may take five minutes more.
    job = field.submit("limited", "--time=5", "--signal=TERM@280")
    slurm_jobs.until(job.restarts, "its restart")
    first = job.log()
    slurm_jobs.command("scontrol", "update", f"jobid={job.number}", "timelimit=60")
    job.finish()
    saw = "saved" if "saved at step" in first else "stopped before it resumed"
    found = field.compare(job, from_step=LATE + 1)
    return f"{saw}, came back by itself; {found}"


def cancel(field: Field) -> str:
    """`scancel` is for good."""
    job = field.submit("cancelled")
    job.reach(2 * EVERY)
    slurm_jobs.command("scancel", job.number)
    state = job.wait()
    time.sleep(10)
    slurm_jobs.expect(
        state == job.ended() == "CANCELLED", f"{state}, {job.facts()['JobState']}"
    )
    return "cancelled, and stayed so"


def kill(field: Field) -> str:
    """A kill -9 of each process; the job is submitted again."""
    found = []
    for task in (0, 1):
        field.begun(f"killed{task}", STEPS // 2)
        job = field.submit(f"killed{task}")
        job.reach(STEPS // 2 + EVERY)
        os.kill(job.process(task), 9)
        began = time.monotonic()
        slurm_jobs.expect(job.wait() == "FAILED", "did not fail")
        took = time.monotonic() - began
        again = field.submit(f"killed{task}")
        again.finish()
        equal = field.compare(again, from_step=STEPS // 2 + 1)
        found.append(f"task {task}: over after {took:.1f} s, {equal}")
    return "; ".join(found)


def failing(field: Field) -> str:
    """One process lacks its data."""
    (field.folder / "data0").symlink_to(field.data)
    job = field.submit("failing", data=f"{field.data}$SLURM_PROCID")
    began = time.monotonic()
    job.says("process 1 on ")
    slurm_jobs.expect(job.wait() == "FAILED", "did not fail")
    took = time.monotonic() - began
    # The other process may say after it that it lost its peer.
    first, *_ = re.findall(r"^lokitalk train: (.*)$", job.log(), re.M)
    slurm_jobs.expect(first.startswith("process 1 on "), first)
    return f"over {took:.0f} s after it started: {first}"


def not_shared(field: Field) -> str:
    """Each host has a workdir of its own."""
    job = field.submit("apart", workdir=f"{field.folder}/apart$SLURM_PROCID")
    job.says("process 1 on ")
    slurm_jobs.expect(job.wait() == "FAILED", "did not fail")
    slurm_jobs.expect("apart1 is not shared" in job.log(), job.log()[-500:])
    return "named at the start"


def full_disk(field: Field) -> str:
    """The disk of the workdir is full, and then larger."""
    place = field.folder / "small"
    place.mkdir()
    try:
        slurm_jobs.command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place)
    except Failure as failure:
        return f"skipped: needs the right to mount ({failure})"
    try:
        job = field.submit("small/run")
        began = time.monotonic()
        slurm_jobs.expect(job.wait() == "FAILED", "did not fail")
        took = time.monotonic() - began
        lines = re.findall(r"^lokitalk train: (.*)$", job.log(), re.M)
        slurm_jobs.expect(lines and "No space left" in lines[0], job.log()[-800:])
        slurm_jobs.expect("Traceback" not in job.log(), "a traceback")
        best = job.saved()[-1]
        slurm_jobs.command("mount", "-o", "remount,size=100m", place)
        again = field.submit("small/run")
        again.finish()
        equal = field.compare(again)
    finally:
        slurm_jobs.command("umount", place)
    return f"over after {took:.0f} s at step {best}: {lines[0]}; then {equal}"


def node_count(field: Field) -> str:
    """A run of two processes resumes with one, and with four.

    Sums over identities are then taken in another order, so bits differ.
    """
    found = []
    for nodes in (1, 4):
        name = f"count{nodes}"
        field.begun(name, STEPS // 2)
        job = field.submit(name, nodes=nodes)
        job.finish()
        slurm_jobs.expect(f"at step {STEPS // 2}" in job.log(), "did not resume")
        share = checkpoint_arrays.largest_share(
            field.base().workdir, job.workdir, STEPS, STEPS // 2
        )
        slurm_jobs.expect(share < APART, f"{nodes}: {share:.2%} apart")
        found.append(f"{nodes}: no array apart by over {share:.2%} of how far it moved")
    return "; ".join(found)


DRILLS = (
    uninterrupted,
    preemption,
    requeue,
    early_term,
    time_limit,
    cancel,
    kill,
    failing,
    not_shared,
    full_disk,
    node_count,
    four_preempted,
)


def main() -> int:
    """Runs the drills; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [drill.__name__ for drill in DRILLS]
    parser.add_argument("--only", default=",".join(names), help="drills, with commas")
    parser.add_argument("--runs", type=pathlib.Path, help="keeps the runs there")
    flags = parser.parse_args()
    chosen = flags.only.split(",")
    if unknown := set(chosen) - set(names):
        parser.error(f"no drill {', '.join(unknown)}; there are {', '.join(names)}")
    absl_logging.set_verbosity(absl_logging.ERROR)
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": small_model.XLA_FLAGS}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="drill_runs.") as temporary:
        folder = flags.runs or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        field = Field(folder.resolve())
        for drill in DRILLS:
            if drill.__name__ not in chosen:
                continue
            began = time.monotonic()
            try:
                passed, saw = True, drill(field)
            except Failure as failure:
                passed, saw = False, str(failure)
            failed += not passed
            line = {
                "drill": drill.__name__.replace("_", " "),
                "did": (drill.__doc__ or "").partition("\n")[0].rstrip("."),
                "saw": saw,
                "passed": passed,
                "wall_s": round(time.monotonic() - began),
            }
            print(json.dumps(line, ensure_ascii=False), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
