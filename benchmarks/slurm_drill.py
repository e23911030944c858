"""Drills of interrupted runs on the SLURM of `slurm_drill.sh`.

    benchmarks/slurm_drill.sh [--only=preemption,kill] [--runs=FOLDER]

Each drill submits the script of docs/multi_host.md, with fewer nodes and a small model,
interrupts it, and compares its checkpoints with those of an uninterrupted run, bit for
bit. Prints a JSON line for each drill, and ends with 1 if one of them failed.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from absl import logging as absl_logging

from benchmarks import checkpoint_arrays, small_model

ROOT = pathlib.Path(__file__).resolve().parents[1]

STEPS, EVERY = 120, 20
LATE = STEPS - 2 * EVERY  # where drills of runs that resume begin, to be short
FIELDS = small_model.FIELDS | {
    "train.steps": STEPS,
    "train.log_every": 10,
    "train.checkpoint_every": EVERY,
    "train.keep": 100,
}
LONGEST = 1800  # seconds that a drill waits for anything


class Failure(Exception):
    """A drill saw something else than it should."""


def expect(truth: object, otherwise: str) -> None:
    """Ends the drill unless `truth`."""
    if not truth:
        raise Failure(otherwise)


def until(condition: Callable[[], object], what: str, seconds: float = LONGEST):
    """Waits for a condition; returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        expect(time.monotonic() < end, f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
    return value


def command(*words: object) -> str:
    """What a program prints."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    expect(done.returncode == 0, f"{words[0]}: {done.stderr.strip()}")
    return done.stdout


class Job(NamedTuple):
    """A submitted run."""

    number: str
    workdir: pathlib.Path
    log_file: pathlib.Path

    def facts(self) -> dict[str, str]:
        """The job's fields, by SLURM's names."""
        shown = command("scontrol", "show", "job", "-o", self.number)
        return dict(re.findall(r"(\w+)=(\S*)", shown))

    def ended(self) -> str:
        """The state of a job that is over, or ""."""
        state = self.facts()["JobState"]
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        return state if state in over else ""

    def wait(self) -> str:
        """Its last state."""
        return until(self.ended, f"the end of job {self.number}")

    def finish(self) -> None:
        """Waits for its success."""
        state = self.wait()
        expect(state == "COMPLETED", f"{state}: {self.log()[-500:]}")

    def saved(self) -> list[int]:
        """Steps of its complete checkpoints."""
        names = [path.name for path in (self.workdir / "checkpoints").glob("*")]
        return sorted(int(name) for name in names if name.isdigit())

    def reach(self, step: int) -> None:
        """Waits for a checkpoint of at least `step` steps."""

        def reached() -> bool:
            expect(not self.ended(), f"ended before step {step}: {self.log()[-500:]}")
            return max(self.saved(), default=0) >= step

        until(reached, f"step {step}")

    def log(self) -> str:
        """What it has written, over all its starts."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def says(self, words: str, times: int = 1) -> None:
        """Waits until its log has said something."""
        until(lambda: self.log().count(words) >= times, f"{words!r} in the log")

    def restarts(self) -> int:
        """How often SLURM has started it again."""
        return int(self.facts()["Restarts"])

    def process(self, task: int) -> int:
        """Number of a task's process."""

        def find() -> int:
            wanted = {f"SLURM_JOB_ID={self.number}", f"SLURM_PROCID={task}"}
            for path in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    known = set((path / "environ").read_text().split("\0"))
                    words = (path / "cmdline").read_text().split("\0")
                except (OSError, UnicodeDecodeError):
                    continue
                if wanted <= known and "lokitalk_jax" in words:
                    return int(path.name)
            return 0

        return until(find, f"task {task}")


class Field:
    """Where the drills take place.

    Attributes:
      folder: of the runs.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.data = folder / "data"
        if not self.data.exists():
            from lokitalk_jax import demo

            demo.make_cast(self.data, identities=4, seconds=2, size=48)
        page = (ROOT / "docs" / "multi_host.md").read_text()
        self._script = page.partition("```bash\n")[2].partition("```")[0]

    def submit(
        self,
        name: str,
        *options: str,
        nodes: int = 2,
        data: str = "",
        workdir: str = "",
        steps: int = STEPS,
    ) -> Job:
        """Submits the script of the documentation.

        Args:
          name: of the run.
          options: of sbatch.
          nodes: one process each.
          data, workdir: in place of the usual ones; `$SLURM_PROCID` stands for the
            number of the process.
          steps: of the run.
        """
        run = self.folder / name
        stem = name.replace("/", "-")
        log = self.folder / f"{stem}.log"
        fields = FIELDS | {"train.steps": steps, "data.root": data or self.data}
        flags = [f"--config.{field}={value}" for field, value in fields.items()]
        program = [sys.executable, "-m", "lokitalk_jax", "train"]
        program += ["--config=multi_id:draft_cpu", f"--workdir={workdir or run}"]
        line = " ".join([*program, *flags]).replace("(", "\\(").replace(")", "\\)")
        text, found = re.subn(
            r"\.venv/bin/lokitalk train .*?\n(?=\S|$)",
            lambda _: f"bash -c '{line}'\n",
            self._script,
            count=1,
            flags=re.S,
        )
        expect(found, "docs/multi_host.md has no script to submit")
        script = self.folder / f"{stem}.sh"
        script.write_text(text)
        number = command(
            "sbatch",
            "--parsable",
            f"--chdir={ROOT}",
            f"--output={log}",
            f"--nodes={nodes}",
            "--ntasks-per-node=1",
            "--gpus-per-node=1",
            "--cpus-per-task=1",
            "--time=60",
            *options,
            script,
        )
        return Job(number.strip(), run, log)

    def base(self, nodes: int = 2) -> Job:
        """The uninterrupted run; is there after the first call."""
        name = f"base{nodes}"
        kept = Job("", self.folder / name, self.folder / f"{name}.log")
        if kept.saved()[-1:] != [STEPS]:
            self.submit(name, nodes=nodes).finish()
        return kept

    def begun(self, name: str, step: int, nodes: int = 2) -> None:
        """A copy of the uninterrupted run as it was at `step`."""
        run = self.folder / name
        shutil.rmtree(run, ignore_errors=True)  # of earlier drills
        shutil.copytree(self.base(nodes).workdir, run)
        for path in (run / "checkpoints").glob("[0-9]*"):
            if int(path.name) > step:
                shutil.rmtree(path)

    def compare(self, job: Job, nodes: int = 2, from_step: int = 0) -> str:
        """Compares checkpoints with those of the uninterrupted run, bit for bit."""
        base = self.base(nodes)
        steps = [s for s in base.saved() if s >= from_step and s in job.saved()]
        expect(steps and steps[-1] == STEPS, f"saved {job.saved()}")
        count = 0
        for step in steps:
            count, different = checkpoint_arrays.differing(
                base.workdir, job.workdir, step
            )
            expect(not different, f"{len(different)} of {count} arrays differ: {step}")
        return f"{len(steps)} checkpoints of {count} arrays equal"

    def occupy(self) -> None:
        """A job of high priority takes the whole cluster for some seconds."""
        options = ("--partition=high", "--exclusive", "--nodes=4", "--output=/dev/null")
        command("sbatch", *options, "--wrap=sleep 3")


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
    until(job.restarts, "its restart")
    job.finish()
    left = re.findall(r"stopping at step (\d+): SIGTERM", job.log())
    expect(len(left) == nodes and len(set(left)) == 1, f"stopped at {left}")
    return f"saved {left[0]}, came back by itself; {field.compare(job, nodes)}"


def four_preempted(field: Field) -> str:
    """The same with four processes."""
    return preemption(field, nodes=4)


def requeue(field: Field) -> str:
    """`scontrol requeue`."""
    job = field.submit("requeued")
    job.reach(2 * EVERY)
    command("scontrol", "requeue", job.number)
    until(job.restarts, "its restart")
    job.finish()
    return f"came back after the signal; {field.compare(job)}"


def early_term(field: Field) -> str:
    """SIGTERM before the first step of a run that resumes."""
    field.begun("early", LATE)
    job = field.submit("early")
    job.says(f"at step {LATE}", 2)
    command("scancel", "--signal=TERM", job.number)
    until(job.restarts, "its restart")
    job.finish()
    expect(LATE + 1 in job.saved(), f"saved {job.saved()}")
    found = field.compare(job, from_step=LATE + 1)
    return f"saved {LATE + 1}, came back by itself; {found}"


def time_limit(field: Field) -> str:
    """The time limit, in a run that compiles for most of it."""
    field.begun("limited", LATE)
    # The signal comes after 20 seconds, and compiling may take over two minutes more.
    job = field.submit("limited", "--time=3", "--signal=TERM@160")
    until(job.restarts, "its restart")
    first = job.log()
    command("scontrol", "update", f"jobid={job.number}", "timelimit=60")
    job.finish()
    saw = "saved" if "saved at step" in first else "stopped before it resumed"
    found = field.compare(job, from_step=LATE + 1)
    return f"{saw}, came back by itself; {found}"


def cancel(field: Field) -> str:
    """`scancel` is for good."""
    job = field.submit("cancelled")
    job.reach(2 * EVERY)
    command("scancel", job.number)
    state = job.wait()
    time.sleep(10)
    expect(state == job.ended() == "CANCELLED", f"{state}, {job.facts()['JobState']}")
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
        expect(job.wait() == "FAILED", "did not fail")
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
    expect(job.wait() == "FAILED", "did not fail")
    took = time.monotonic() - began
    [line] = re.findall(r"^lokitalk train: (.*)$", job.log(), re.M)
    return f"over {took:.0f} s after it started: {line}"


def not_shared(field: Field) -> str:
    """Each host has a workdir of its own."""
    job = field.submit("apart", workdir=f"{field.folder}/apart$SLURM_PROCID")
    job.says("process 1 on ")
    expect(job.wait() == "FAILED", "did not fail")
    expect("apart1 is not shared" in job.log(), job.log()[-500:])
    return "named at the start"


def full_disk(field: Field) -> str:
    """The disk of the workdir is full, and then larger."""
    place = field.folder / "small"
    place.mkdir()
    try:
        command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place)
    except Failure as failure:
        return f"skipped: needs the right to mount ({failure})"
    try:
        job = field.submit("small/run")
        began = time.monotonic()
        expect(job.wait() == "FAILED", "did not fail")
        took = time.monotonic() - began
        lines = re.findall(r"^lokitalk train: (.*)$", job.log(), re.M)
        expect(lines and "No space left" in lines[0], job.log()[-800:])
        expect("Traceback" not in job.log(), "a traceback")
        best = job.saved()[-1]
        command("mount", "-o", "remount,size=100m", place)
        again = field.submit("small/run")
        again.finish()
        equal = field.compare(again)
    finally:
        command("umount", place)
    return f"over after {took:.0f} s at step {best}: {lines[0]}; then {equal}"


def node_count(field: Field) -> str:
    """A run of two processes resumes with one, and with four."""
    found = []
    for nodes in (1, 4):
        name = f"count{nodes}"
        field.begun(name, STEPS // 2)
        job = field.submit(name, nodes=nodes)
        job.finish()
        expect(f"at step {STEPS // 2}" in job.log(), "did not resume")
        _, apart = checkpoint_arrays.differing(field.base().workdir, job.workdir, STEPS)
        found.append(
            f"{nodes}: differs by {max(apart.values(), default=0):.1e} at most"
        )
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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
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
                "did": (drill.__doc__ or "").rstrip("."),
                "saw": saw,
                "passed": passed,
                "wall_s": round(time.monotonic() - began),
            }
            print(json.dumps(line, ensure_ascii=False), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
