"""Runs of `train.py` on three tiny people: processes to start, signal and kill."""

import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import tiny_folder
import tiny_model

from configs import multi_id

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = ["anna", "bert", "carl"]
STEPS = 24  # saved every fourth


def write_people(root: pathlib.Path) -> pathlib.Path:
    for seed, name in enumerate(NAMES):
        tiny_folder.write(root / name, seed=seed)
    return root


def config(data: pathlib.Path):
    c = tiny_model.config()
    c.data.root = str(data)
    c.loss.smoothness = 0.0
    c.train.steps = STEPS
    c.train.keep = STEPS
    return c


def flags(data: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    """Of `train.py`, where `config` is not `multi_id.py:draft_cpu`."""
    tiny = config(data)
    given = [
        f"--config={ROOT / 'configs' / 'multi_id.py'}:draft_cpu",
        f"--workdir={workdir}",
    ]
    full = multi_id.get_config("draft_cpu")
    for group in full:
        if not hasattr(full[group], "keys"):
            continue
        for field, value in tiny[group].items():
            if value != full[group][field]:
                given.append(f"--config.{group}.{field}={value}")
    return given


def start(
    data: pathlib.Path,
    workdir: pathlib.Path,
    devices: int = 4,
    script: str | None = None,
    more: Sequence[str] = (),
    **variables: str,
) -> subprocess.Popen:
    """Starts `train.py`, or Python code that ends in running it, with more flags."""
    workdir.mkdir(parents=True, exist_ok=True)
    options = [f"--{k}={v}" for k, v in tiny_model.COMPILE_FAST.items()]
    options.append(f"--xla_force_host_platform_device_count={devices}")
    command = ["train.py"] if script is None else ["-c", script]
    with open(workdir / "log.txt", "a") as log:
        return subprocess.Popen(
            [sys.executable, *command, *flags(data, workdir), *more],
            cwd=ROOT,
            env=os.environ | {"XLA_FLAGS": " ".join(options)} | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def start_pair(
    data: pathlib.Path, workdir: pathlib.Path, more: Sequence[str] = ()
) -> list[subprocess.Popen]:
    """Two processes of two devices each that train one model."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [
        start(
            data,
            workdir,
            devices=2,
            more=more,
            LOKITALK_COORDINATOR=f"localhost:{port}",
            LOKITALK_PROCESSES="2",
            LOKITALK_PROCESS=str(i),
        )
        for i in range(2)
    ]


def saved(workdir: pathlib.Path) -> list[int]:
    """Steps of the complete checkpoints."""
    # What is being written has a suffix until it is complete.
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return sorted(int(name) for name in names if name.isdigit())


def wait_for_checkpoint(process: subprocess.Popen, workdir: pathlib.Path, after: int):
    """Returns as soon as there is a checkpoint of more than `after` steps."""
    while not any(step > after for step in saved(workdir)):
        assert process.poll() is None, log(workdir)
        time.sleep(0.005)


def wait_for_words(process: subprocess.Popen, workdir: pathlib.Path, words: str):
    """Returns as soon as the log has these words."""
    while words not in log(workdir):
        assert process.poll() is None, log(workdir)
        time.sleep(0.005)


def finish(process: subprocess.Popen, workdir: pathlib.Path, status: int = 0) -> None:
    assert process.wait() == status, log(workdir)


def log(workdir: pathlib.Path) -> str:
    return (workdir / "log.txt").read_text()
