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
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

import av
import numpy as np

from benchmarks import small_model

LONGEST = 1200  # seconds that a case may take, on a busy machine

Corruption = Callable[[bytes, np.random.Generator], bytes]

_JSON_VALUES = (None, -1, 1e400, "x", [], {}, True)


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
      corruptions: that are tried.
    """

    files: Callable[[Inputs], list[pathlib.Path]]
    command: Callable[[Inputs, pathlib.Path], list[str]]
    result: str | None
    corruptions: Sequence[Corruption]


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


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The first part of a file."""
    return data[: int(rng.integers(1, max(len(data), 2)))]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with up to 64 bytes changed, the first kilobyte more often."""
    changed = np.frombuffer(data, np.uint8).copy()
    near = rng.integers(0, min(len(data), 1024), rng.integers(1, 33))
    far = rng.integers(0, len(data), rng.integers(1, 33))
    changed[np.concatenate([near, far])] ^= rng.integers(1, 256, dtype=np.uint8)
    return changed.tobytes()


def empty(data: bytes, rng: np.random.Generator) -> bytes:
    """A file of no bytes."""
    return b""


def text(data: bytes, rng: np.random.Generator) -> bytes:
    """A page of HTML, as downloads that failed leave."""
    return b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    """Random bytes."""
    return rng.bytes(len(data))


def wrong_value(data: bytes, rng: np.random.Generator) -> bytes:
    """JSON or npz with a value of another type; other files are cut."""
    try:
        tree = json.loads(data)
    except ValueError:
        return _wrong_array(data, rng)
    places = [tree] if isinstance(tree, dict) and tree else []
    for value in tree.values() if isinstance(tree, dict) else ():
        places += [value] if isinstance(value, dict) and value else []
    if not places:
        return b"[1, 2"
    place = places[rng.integers(len(places))]
    key = list(place)[rng.integers(len(place))]
    place[key] = _JSON_VALUES[rng.integers(len(_JSON_VALUES))]
    return json.dumps(tree).encode()


def _wrong_array(data: bytes, rng: np.random.Generator) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.npz")
        path.write_bytes(data)
        try:
            with np.load(path) as stored:
                arrays = dict(stored)
        except Exception:
            return cut(data, rng)
        key = list(arrays)[rng.integers(len(arrays))]
        changes = (
            lambda x: x[..., :-1] if x.ndim else np.zeros(3),
            lambda x: x.astype("U8"),
            lambda x: np.full(x.shape, np.nan),
            lambda x: x[None],
            lambda x: np.zeros(0),
        )
        arrays[key] = changes[rng.integers(len(changes))](arrays[key])
        if rng.random() < 0.2:
            del arrays[key]
        np.savez(path, **arrays)
        return path.read_bytes()


def cut_late(data: bytes, rng: np.random.Generator) -> bytes:
    """All but the last part of a file."""
    return data[: int(rng.integers(len(data) // 2, len(data)))]


def flip_behind(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with up to 64 bytes changed, none in its first part."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(len(data) // 8, len(data), rng.integers(1, 65))
    changed[places] ^= rng.integers(1, 256, dtype=np.uint8)
    return changed.tobytes()


def hole(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with zeros in its middle, as a download of several parts leaves."""
    begin = int(rng.integers(len(data) // 8, len(data)))
    count = min(int(rng.integers(1, 1 + len(data) // 4)), len(data) - begin)
    return data[:begin] + bytes(count) + data[begin + count :]


CORRUPTIONS = (cut, cut, flip, flip, empty, text, noise, wrong_value, wrong_value)

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
        (*CORRUPTIONS, *6 * (flip_behind,), *3 * (cut_late, hole)),
    ),
    "check": Case(
        _folder_files,
        lambda it, out: ["prepare", f"--check={it.data / 'demo_00'}"],
        None,
        CORRUPTIONS,
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
        CORRUPTIONS,
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
        CORRUPTIONS,
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
        CORRUPTIONS,
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
        CORRUPTIONS,
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
        CORRUPTIONS,
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
        CORRUPTIONS,
    ),
}


def index_in_front(video: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a video's streams into an mp4 file whose index comes first."""
    front = {"movflags": "faststart"}
    with av.open(str(video)) as source, av.open(str(target), "w", options=front) as out:
        streams = {one: out.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is not None:  # the last of a stream is empty
                packet.stream = streams[packet.stream]
                out.mux(packet)


def make_inputs(root: pathlib.Path, video: pathlib.Path) -> Inputs:
    """Good inputs in a folder, which keeps them."""
    data, run, film = root / "data", root / "run", root / "film.mp4"
    inputs = Inputs(root / "video.mp4", data, run, root / "said.wav", film)
    worker = Worker(root / "make.log")
    try:
        if not film.exists():
            from lokitalk_jax import demo

            demo.make_cast(data, identities=1, seconds=3, size=48)
            shutil.copyfile(data / "demo_00" / "audio.wav", inputs.sound)
            worker.do(small_model.spoken_run(data / "demo_00", run))
            worker.do(["reenact", f"--workdir={run}", f"--out={film}"])
        index_in_front(video, inputs.video)
    finally:
        worker.close()
    if not film.exists():
        raise RuntimeError((root / "make.log").read_text())
    return inputs


class Worker:
    """A process that runs commands one after another; a new one after a crash."""

    def __init__(self, log: pathlib.Path):
        self._log = log
        self._process: subprocess.Popen | None = None

    def do(self, arguments: list[str]) -> tuple[int | None, str]:
        """The exit status, None for a crash or a hang, and the output."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.corrupted_inputs", "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=open(self._log, "ab"),
                text=True,
                env=os.environ
                | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": small_model.XLA_FLAGS}
                | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
            )
        begin = self._log.stat().st_size if self._log.exists() else 0
        pipes = self._process.stdin, self._process.stdout
        assert pipes[0] is not None and pipes[1] is not None
        pipes[0].write(json.dumps(arguments) + "\n")
        pipes[0].flush()
        killer = threading.Timer(LONGEST, self._process.kill)
        killer.start()
        answer = pipes[1].readline()
        killer.cancel()
        with open(self._log, "rb") as file:
            file.seek(begin)
            output = file.read().decode(errors="replace")
        return (int(answer) if answer.strip() else None), output

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def work() -> None:
    """Answers commands on standard input with exit statuses."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from lokitalk_jax.cli import main

    for line in sys.stdin:
        try:
            status = main.main(json.loads(line))
        except SystemExit as stopped:
            status = stopped.code if isinstance(stopped.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(f"{status or 0}\n")
        answers.flush()


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
    corrupt = case.corruptions[rng.integers(len(case.corruptions))]
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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--cases", type=int, default=200)
    add("--first", type=int, default=0, help="number of the first case")
    add("--seed", type=int, default=0)
    add("--commands", default=",".join(CASES), help="with commas")
    add("--video", type=pathlib.Path, help="of a person, a little over 3 seconds")
    add("--inputs", type=pathlib.Path, help="keeps the good inputs there")
    add("--all", action="store_true", help="prints a line for every case")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        work()
        return 0
    if flags.video is None:
        parser.error("--video is missing")
    names = flags.commands.split(",")
    counts = {name: collections.Counter() for name in names}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kept = flags.inputs or folder / "inputs"
        kept.mkdir(parents=True, exist_ok=True)
        inputs = make_inputs(kept.resolve(), flags.video)
        worker = Worker(folder / "log.txt")
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
