"""Runs submitted to the SLURM of `slurm_drill.sh`, and comparing their checkpoints."""

import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

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
T = TypeVar("T")

LONGEST = 1800  # seconds that a drill waits for anything


class Failure(Exception):
    """A drill saw something else than it should."""


def expect(truth: object, otherwise: str) -> None:
    """Ends the drill unless `truth`."""
    if not truth:
        raise Failure(otherwise)


def until(condition: Callable[[], T], what: str, seconds: float = LONGEST) -> T:
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
          data, workdir: in place of the usual ones; `$SLURM_PROCID` becomes the
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
