"""Runs every command on corrupted inputs: none may end in a traceback.

    python -m benchmarks.corrupted_inputs --cases=200 --seed=0 --video=me.mp4

Each case corrupts one file (a video, a sound, a picture, JSON, npz, or a file of a
checkpoint) in one way: cut off, bytes flipped, emptied, or of another type. The video
to prepare has its index in front and is mostly damaged behind that, so that its first
frames still decode. A case fails if there is a traceback, a crash or a hang, if a
refusal leaves something under a final name, or if a success does not. Prints JSON
lines: one for each failed case, and one for each command with its counts.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.io.wavfile

from benchmarks import corruptions, small_model
from benchmarks.command_worker import Worker
from benchmarks.corruptions import Corruption


class Inputs(NamedTuple):
    """Good inputs.

    Attributes:
      video: of a person.
      data: identity folders.
      workdir: a run on them, with a voice.
      sound: a WAV file.
      film: what the run renders.
    """

    video: pathlib.Path
    data: pathlib.Path
    workdir: pathlib.Path
    sound: pathlib.Path
    film: pathlib.Path


class Case(NamedTuple):
    """A command on a copy of the inputs.

    Attributes:
      files: of the inputs, one of which is corrupted.
      command: its arguments, given the inputs and the place for results.
      result: path of the result that a success leaves; None for a check.
      ways: of corrupting it, that are tried.
    """

    files: Callable[[Inputs], list[pathlib.Path]]
    command: Callable[[Inputs, pathlib.Path], list[str]]
    result: str | None
    ways: Sequence[Corruption]


def _folder_files(inputs: Inputs) -> list[pathlib.Path]:
    """Files of the first identity: all that exist once, and a frame of each kind."""
    folder = inputs.data / "demo_00"
    single = [p for p in folder.iterdir() if p.is_file() and p.name != "preview.mp4"]
    images = [sorted((folder / kind).iterdir())[3] for kind in ("frames", "labels")]
    return [*single, *images, sorted((folder / "masks").iterdir())[3]]


def _run_files(inputs: Inputs) -> list[pathlib.Path]:
    """Files of the run that rendering reads."""
    run = inputs.workdir
    kept = [p for p in (run / "identities" / "demo_00").iterdir() if p.is_file()]
    checkpoint = [p for p in (run / "checkpoints").rglob("*") if p.is_file()]
    return [*kept, *checkpoint, run / "voice.npz"]


CASES = {
    "prepare": Case(
        lambda it: [it.video],
        lambda it, out: [
            "prepare",
            f"--video={it.video}",
            f"--out={out / 'me'}",
            "--size=64",
        ],
        "me/identity.json",
        corruptions.LATE,
    ),
    "check": Case(
        _folder_files,
        lambda it, out: ["prepare", f"--check={it.data / 'demo_00'}"],
        None,
        corruptions.ANY,
    ),
    "train": Case(
        _folder_files,
        lambda it, out: [
            "train",
            "--config=single_id:draft_cpu",
            f"--workdir={out / 'run'}",
            *small_model.flags(
                train__steps=1,
                data__root=it.data / "demo_00",
                data__cache=out / "cache",
            ),
        ],
        "run/checkpoints/1",
        corruptions.ANY,
    ),
    "resume": Case(
        _run_files,
        lambda it, out: [
            "train",
            "--config=single_id:draft_cpu",
            f"--workdir={it.workdir}",
            *small_model.flags(
                train__steps=3,
                data__root=it.data / "demo_00",
                data__cache=out / "cache",
            ),
        ],
        "../run/checkpoints/3",
        corruptions.ANY,
    ),
    "reenact": Case(
        _run_files,
        lambda it, out: [
            "reenact",
            f"--workdir={it.workdir}",
            "--frames=0:2",
            f"--out={out / 'film.mp4'}",
        ],
        "film.mp4",
        corruptions.ANY,
    ),
    "speak": Case(
        lambda it: [it.sound, it.sound, it.workdir / "voice.npz"],
        lambda it, out: [
            "speak",
            f"--workdir={it.workdir}",
            f"--audio={it.sound}",
            f"--out={out / 'film.mp4'}",
        ],
        "film.mp4",
        corruptions.ANY,
    ),
    "evaluate": Case(
        lambda it: [*_folder_files(it), *_run_files(it)],
        lambda it, out: [
            "evaluate",
            f"--workdir={it.workdir}",
            "--max-frames=2",
            f"--out={out / 'scores'}",
        ],
        "scores/metrics.json",
        corruptions.ANY,
    ),
    "compare": Case(
        lambda it: [it.film],
        lambda it, out: [
            "compare",
            f"--truth={it.film}",
            f"--pred={it.film}",
            f"--out={out / 'scores'}",
        ],
        "scores/metrics.json",
        corruptions.ANY,
    ),
}


def make_inputs(root: pathlib.Path, video: pathlib.Path) -> Inputs:
    """Good inputs in a folder, which keeps them."""
    data, run, film = root / "data", root / "run", root / "film.mp4"
    inputs = Inputs(root / "video.mp4", data, run, root / "said.wav", film)
    worker = Worker(root / "make.log", root.parent / "programs")
    try:
        if not film.exists():
            from lokitalk_jax import demo

            demo.make_cast(data, identities=1, seconds=3, size=48)
            rate, samples = scipy.io.wavfile.read(data / "demo_00" / "audio.wav")
            scipy.io.wavfile.write(inputs.sound, rate, samples[:rate])
            worker.do(small_model.spoken_run(data / "demo_00", run))
            worker.do(["reenact", f"--workdir={run}", f"--out={film}"])
        corruptions.index_in_front(video, inputs.video)
    finally:
        worker.close()
    if not film.exists():
        raise RuntimeError((root / "make.log").read_text())
    return inputs


def try_case(
    name: str, inputs: Inputs, seed: int, folder: pathlib.Path, worker: Worker
) -> tuple[str, dict]:
    """Runs a case; returns what it did (refused, accepted or failed), and facts."""
    rng = np.random.default_rng([seed, 30])
    root = folder / "case"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(inputs.video.parent, root, ignore=shutil.ignore_patterns("case*"))
    copied = Inputs(*(root / one.relative_to(inputs.video.parent) for one in inputs))
    out = root / "out"
    out.mkdir()
    case = CASES[name]
    files = case.files(copied)
    path = files[rng.integers(len(files))]
    corrupt = case.ways[int(rng.integers(len(case.ways)))]
    path.write_bytes(corrupt(path.read_bytes(), rng))
    began = time.monotonic()
    status, output = worker.do(case.command(copied, out))
    there = case.result is None or (out / case.result).resolve().exists()
    why = ""
    if status is None:
        why = "it crashed or hung"
    elif "Traceback (most recent call last)" in output:
        why = "a traceback"
    elif status not in (0, 1, 2):
        why = f"exit status {status}"
    elif status == 0 and not there:
        why = "no result"
    elif status and there and case.result:
        why = "a result in spite of the refusal"
    lines = [one for one in output.replace("\r", "\n").splitlines() if one.strip()]
    facts = {
        "case": seed,
        "command": name,
        "file": str(path.relative_to(root)),
        "corruption": corrupt.__name__,
        "status": status,
        "why": why,
        "said": "\n".join(lines[-1:] if not why else lines[-25:]),
        "seconds": round(time.monotonic() - began, 1),
    }
    return ("failed" if why else "refused" if status else "accepted"), facts


def main() -> int:
    """Runs the cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--cases", type=int, default=200)
    add("--first", type=int, default=0, help="number of the first case")
    add("--seed", type=int, default=0)
    add("--commands", default=",".join(CASES), help="with commas")
    add(
        "--video",
        type=pathlib.Path,
        required=True,
        help="of a person, a little over 3 seconds",
    )
    add("--inputs", type=pathlib.Path, help="keeps the good inputs there")
    add("--all", action="store_true", help="prints a line for every case")
    flags = parser.parse_args()
    names = flags.commands.split(",")
    counts = {name: collections.Counter() for name in names}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kept = flags.inputs or folder / "inputs"
        kept.mkdir(parents=True, exist_ok=True)
        inputs = make_inputs(kept.resolve(), flags.video)
        worker = Worker(folder / "log.txt", kept.resolve().parent / "programs")
        stack.callback(worker.close)
        for number in range(flags.first, flags.first + flags.cases):
            name = names[number % len(names)]
            seed = flags.seed * 100_000 + number
            ended, facts = try_case(name, inputs, seed, folder, worker)
            counts[name][ended] += 1
            if ended == "failed" or flags.all:
                print(json.dumps(facts, ensure_ascii=False), flush=True)
    for name, found in counts.items():
        known = {key: found[key] for key in ("refused", "accepted", "failed")}
        print(json.dumps({"kind": name, "cases": found.total(), **known}))
    return 1 if any(found["failed"] for found in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
