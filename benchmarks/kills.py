"""Kills each command again and again, and compares its result with that of no kill.

    python -m benchmarks.kills --kills=50 --seed=0 --video=me.mp4

A command is started, ended at a random moment (by SIGKILL, SIGTERM or Ctrl-C) and
started again, until it was ended --kills times; then it runs undisturbed. Its result
must have the bytes of an uninterrupted one, nothing may lie under a final name before
that, and no temporary file may be left. The moments are spread over the CPU time from
the command's first file to its end, and every fifth is in its last stage. Prints a JSON
line for each command, which says how far it had come when it was killed. With --root,
what was found is kept there after each kill, so that the same command continues where
it was stopped.

Commands are forked from a process that has imported the package, so that a start costs
a second or two; Linux only.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
from multiprocessing.context import ForkServerProcess
from typing import NamedTuple

import numpy as np
import scipy.io.wavfile

from benchmarks import checkpoint_arrays, small_model

STEPS = 40
IMPORTED = ("jax", "orbax.checkpoint", "lokitalk_jax.cli.main") + tuple(
    f"lokitalk_jax.{name}"
    for name in ("api.actions", "api.prepare", "cli.render", "media.sound_file")
)
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Task(NamedTuple):
    """A command that is killed.

    Attributes:
      name: of the command.
      arguments: with OUT in place of the result's path.
      result: its final name below the folder of the task.
      done: the file that marks the result as complete.
      milestones: patterns of files that it writes, the latest first, by the words that
        say how far it has come.
      late: pattern of files that its last stage begins with.
    """

    name: str
    arguments: list[str]
    result: str
    done: str
    milestones: dict[str, str]
    late: str = ""


def tasks(video: pathlib.Path, data: pathlib.Path, run: pathlib.Path) -> list[Task]:
    """The commands."""
    saving = {"log_every": 5, "checkpoint_every": 5, "keep": 2}
    saving = {f"train__{field}": value for field, value in saving.items()}
    train = small_model.flags(train__steps=STEPS, data__root=data, **saving)
    config = "--config=single_id:draft_cpu"
    trained = {
        "unfinished checkpoint": "run/checkpoints/*.orbax-checkpoint-tmp",
        "checkpoint": "run/checkpoints/*",
        "log": "run/metrics.jsonl",
    }
    inherited = ("model.", "grid.", "sampling.", "scene.")
    adapt = [
        "--config=adapt:draft_cpu",
        f"--config.prior={run}",
        "--config.start=mean",
        *(one for one in train if not one[len("--config.") :].startswith(inherited)),
    ]
    return [
        Task(
            "prepare",
            ["prepare", f"--video={video}", "--size=64", "--out=OUT"],
            "me",
            "me/identity.json",
            {
                "preview": "me/preview.mp4",
                "its video": "me/.preview-*",
                "plate": "me/background.png",
                "tracks": "me/tracks.npz",
                "torso": "me/*/torso_points.npz",
                "labels": "me/labels/*",
                "poses": "me/*/poses.npz",
                "landmarks": "me/*/landmarks.npz",
                "frames": "me/frames/*",
                "survey": "me/*/survey.npz",
            },
            late="me/.preview-*",
        ),
        Task(
            "train",
            ["train", config, *train, "--workdir=OUT"],
            "run",
            f"run/checkpoints/{STEPS}",
            trained,
        ),
        Task(
            "adapt",
            ["train", *adapt, "--workdir=OUT"],
            "run",
            f"run/checkpoints/{STEPS}",
            trained,
        ),
        Task(
            "render",
            ["speak", f"--workdir={run}", f"--audio={run / 'said.wav'}", "--out=OUT"],
            "film.mp4",
            "film.mp4",
            {"unfinished film": ".film-*"},
            late=".film-*",
        ),
        Task(
            "evaluate",
            ["evaluate", f"--workdir={run}", "--max-frames=8", "--out=OUT"],
            "scores",
            "scores/metrics.json",
            {
                "report": "scores/report.html",
                "table": "scores/frames.csv",
                "pictures": "scores/*.png",
                "film": "scores/*.mp4",
                "unfinished film": "scores/.*",
            },
            late="scores/*.mp4",
        ),
    ]


def digest(folder: pathlib.Path, task: Task) -> dict[str, str]:
    """Digests of a result, by file or array."""
    place = folder / task.result
    if task.name in ("train", "adapt"):
        arrays = checkpoint_arrays.read(place, STEPS)
        return {k: hashlib.sha256(v.tobytes()).hexdigest() for k, v in arrays.items()}
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def start(task: Task, folder: pathlib.Path) -> ForkServerProcess:
    """Starts the command."""
    folder.mkdir(parents=True, exist_ok=True)
    out = str(folder / task.result)
    words = [one.replace("OUT", out) for one in task.arguments]
    process = ForkServerProcess(
        target=_command, args=(words, folder.with_suffix(".log"))
    )
    process.start()
    return process


def _command(words: list[str], log: pathlib.Path) -> None:
    """Runs a command in this process, which it ends."""
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from lokitalk_jax.cli import main

    sys.exit(main.main(words))


def ended(process: ForkServerProcess) -> int:
    """The exit status of a command, when it has ended."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def cpu_seconds(process: ForkServerProcess) -> float:
    """CPU time of a command that runs; that of one that has ended is infinite."""
    try:
        text = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
    except FileNotFoundError:
        return np.inf
    state, *fields = text.rpartition(")")[2].split()
    if state == "Z":
        return np.inf
    return sum(map(int, fields[10:12])) / os.sysconf("SC_CLK_TCK")


def leftovers(folder: pathlib.Path) -> list[str]:
    """Hidden files, which are locks and temporary files."""
    hidden = [path for path in folder.rglob(".*") if path.name != ".prepare"]
    unfinished = list(folder.rglob("*.orbax-checkpoint-tmp"))
    return sorted(str(path.relative_to(folder)) for path in hidden + unfinished)


def kill(task: Task, root: pathlib.Path, kills: int, seed: int, until: float) -> dict:
    """Kills a task `kills` times, or until a monotonic time; returns its result."""
    whole, folder = root / f"{task.name}_whole", root / f"{task.name}_killed"
    kept = root / f"{task.name}.json"
    if kept.exists():
        found = json.loads(kept.read_text())
    else:
        uninterrupted(task, root / f"{task.name}_first")  # compiles
        begun, seconds = uninterrupted(task, whole)
        found = {"kills": 0, "faults": [], "places": {}, "statuses": {}}
        found |= {"first_file_cpu_s": begun, "uninterrupted_cpu_s": seconds}
    wanted = digest(whole, task)
    while found["kills"] < kills and time.monotonic() < until:
        rng = np.random.default_rng(
            [seed, len(task.name), sum(found["statuses"].values())]
        )
        status = _kill_once(task, folder, rng, found)
        if (folder / task.done).exists():
            if task.name == "prepare" and status:
                # Its sound is put in step after that.
                ended(start(task, folder))
            found["faults"] += _differing(wanted, digest(folder, task))
            # It was finished; the next kill meets a new one.
            shutil.rmtree(folder)
        kept.write_text(json.dumps(found))
    faults = [*found["faults"], *_ends_well(task, folder, wanted)]
    counted = {f"status_{status}": n for status, n in found["statuses"].items()}
    places = collections.Counter(found["places"]).most_common()
    return {
        "kind": task.name,
        "kills": found["kills"],
        "compared": len(wanted),
        "faults": faults,
        "fault_count": len(faults),
        "uninterrupted_cpu_s": round(found["uninterrupted_cpu_s"], 1),
        "first_file_cpu_s": round(found["first_file_cpu_s"], 1),
        "killed_after": ", ".join(f"{k} {n}" for k, n in places),
        **counted,
    }


def _kill_once(
    task: Task, folder: pathlib.Path, rng: np.random.Generator, found: dict
) -> int:
    """Starts a task, kills it, adds to what was found; returns the exit status."""
    fresh = not folder.exists() or not any(folder.iterdir())
    process = start(task, folder)
    if found["kills"] % 5 == 4 and task.late:
        _wait_for_late_stage(task, folder, rng, process)
    else:
        begun, seconds = found["first_file_cpu_s"], found["uninterrupted_cpu_s"]
        moment = rng.uniform(0.9 * begun, seconds)
        last = 0.0
        while (now := cpu_seconds(process)) < moment:
            last = now
            time.sleep(0.005)
        if fresh and now == np.inf:
            # It took less than the first time, so later moments are drawn below that.
            found["uninterrupted_cpu_s"] = last
    number = SIGNALS[rng.integers(len(SIGNALS))]
    if process.is_alive() and process.pid:
        os.kill(process.pid, number)
        found["kills"] += 1
        where = place(task, folder)
        found["places"][where] = found["places"].get(where, 0) + 1
    status = ended(process)
    found["statuses"][str(status)] = found["statuses"].get(str(status), 0) + 1
    if status not in (0, 75, 130, -number):
        found["faults"].append(f"exit status {status} of {number!r}")
    return status


def _differing(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """A line that names what differs between two results, where they do."""
    keys = sorted(wanted.keys() | found.keys())
    other = [key for key in keys if found.get(key) != wanted.get(key)]
    return [f"{len(other)} differ: {other[:5]}"] if other else []


def _ends_well(task: Task, folder: pathlib.Path, wanted: dict[str, str]) -> list[str]:
    """Runs a task to its end after the last kill; returns what is wrong."""
    faults = []
    if ended(start(task, folder)):
        faults.append("it did not end well")
    else:
        faults += _differing(wanted, digest(folder, task))
    faults += leftovers(folder)
    log = folder.with_suffix(".log").read_text(errors="replace")
    if "Traceback" in log:
        faults.append(log[log.index("Traceback") :][:1500])
    return faults


def uninterrupted(task: Task, folder: pathlib.Path) -> tuple[float, float]:
    """Runs a task; returns the CPU seconds to its first file and to its end."""
    begun = seconds = 0.0
    shutil.rmtree(folder, ignore_errors=True)  # of earlier kills
    process = start(task, folder)
    while np.isfinite(now := cpu_seconds(process)):
        seconds = now
        if not begun and any(folder.iterdir()):
            begun = now
        time.sleep(0.005)
    if ended(process):
        raise RuntimeError(folder.with_suffix(".log").read_text()[-3000:])
    return begun, seconds


def place(task: Task, folder: pathlib.Path) -> str:
    """How far a task has come, in the words of its milestones."""
    seen = (
        words for words, files in task.milestones.items() if any(folder.glob(files))
    )
    return next(seen, "nothing")


def _wait_for_late_stage(
    task: Task,
    folder: pathlib.Path,
    rng: np.random.Generator,
    process: ForkServerProcess,
) -> None:
    """Waits until a film in the making has half its size, or for the late files."""
    whole = folder.with_name(f"{task.name}_whole") / task.result
    least = whole.stat().st_size / 2 if whole.is_file() else 0
    while process.is_alive():
        with contextlib.suppress(FileNotFoundError):  # it has just been renamed
            sizes = [path.stat().st_size for path in folder.glob(task.late)]
            if sizes and max(sizes) > least:
                # The second half of a film that is a second long is soon written.
                time.sleep(rng.uniform(0, 0.005 if least else 0.05))
                return
        time.sleep(0.002)


def main() -> int:
    """Kills the commands; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--kills", type=int, default=50)
    add("--minutes", type=float, default=np.inf, help="stop after these minutes")
    add("--seed", type=int, default=0)
    add("--commands", default="prepare,train,adapt,render,evaluate", help="with commas")
    add("--video", type=pathlib.Path, required=True, help="of a person, a few seconds")
    add("--root", type=pathlib.Path, help="keeps what was made there")
    flags = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    multiprocessing.set_forkserver_preload(list(IMPORTED))
    until = time.monotonic() + 60 * flags.minutes
    faults = 0
    with tempfile.TemporaryDirectory(prefix="kills.") as temporary:
        root = (flags.root or pathlib.Path(temporary)).resolve()
        # Programs are compiled once.
        os.environ["XLA_FLAGS"] = small_model.XLA_FLAGS
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "cache")
        data, run = root / "data", root / "run"
        if not (run / "voice.npz").exists():
            from lokitalk_jax import demo

            demo.make_cast(data, identities=1, seconds=3, size=48)
            words = small_model.spoken_run(data / "demo_00", "OUT")
            made = Task("run", words, "run", "", {})
            if ended(start(made, root)):
                raise RuntimeError(root.with_suffix(".log").read_text()[-3000:])
            rate, samples = scipy.io.wavfile.read(data / "demo_00" / "audio.wav")
            scipy.io.wavfile.write(run / "said.wav", rate, samples[:rate])
        for task in tasks(flags.video.resolve(), data / "demo_00", run):
            chosen = task.name in flags.commands.split(",")
            if chosen and time.monotonic() < until:
                found = kill(task, root, flags.kills, flags.seed, until)
                faults += found["fault_count"]
                print(json.dumps(found), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
