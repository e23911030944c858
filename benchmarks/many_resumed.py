"""Does a run of many identities over several devices resume to the same bits?

    python -m benchmarks.many_resumed --identities=96 --devices=8

Animated identities are made, and a small model is trained on all of them: once without
a break, and once stopped by SIGTERM after its first checkpoint and started again.
Prints a JSON line: how many arrays of the last checkpoints differ.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks import checkpoint_arrays, small_model
from lokitalk_jax import demo
from lokitalk_jax.checkpoint.store import last_saved

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_STEPS, _EVERY = 24, 6
_STOPPED = 75  # exit status of a run that a signal stopped and that saved itself


def start(data: pathlib.Path, workdir: pathlib.Path, devices: int) -> subprocess.Popen:
    """Starts `train.py` on all identities of a folder."""
    fields = {"train__checkpoint_every": _EVERY, "train__keep": 9}
    flags = small_model.flags(data__root=data, train__steps=_STEPS, **fields)
    command = ["train.py", "--config=configs/multi_id.py:draft_cpu", *flags]
    variable = f"--xla_force_host_platform_device_count={devices}"
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / "log.txt", "a") as log:
        return subprocess.Popen(
            [sys.executable, *command, f"--workdir={workdir}"],
            cwd=_ROOT,
            env=os.environ | {"XLA_FLAGS": variable, "JAX_PLATFORMS": "cpu"},
            stdout=log,
            stderr=log,
        )


def stopped_at(process: subprocess.Popen, workdir: pathlib.Path) -> int:
    """Sends SIGTERM after the first checkpoint; returns the step that was saved.

    Raises:
      RuntimeError: the run ended in another way.
    """
    while process.poll() is None and last_saved(workdir) < _EVERY:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    if process.wait() != _STOPPED:
        raise RuntimeError(f"the run ended with {process.returncode}, see {workdir}")
    return last_saved(workdir)


def measure(root: pathlib.Path, identities: int, devices: int) -> dict:
    """Trains the run without and with a break; returns what to print.

    Raises:
      RuntimeError: a run failed.
    """
    data = root / "data"
    demo.make_cast(data, identities=identities, seconds=1, size=48)
    whole, broken = root / "whole", root / "broken"
    if start(data, whole, devices).wait():
        raise RuntimeError(f"the run failed, see {whole}")
    step = stopped_at(start(data, broken, devices), broken)
    if start(data, broken, devices).wait():
        raise RuntimeError(f"the run failed, see {broken}")
    arrays, differing = checkpoint_arrays.differing(whole, broken, _STEPS)
    return {
        "identities": identities,
        "devices": devices,
        "steps": _STEPS,
        "stopped_at": step,
        "arrays": arrays,
        "differing": len(differing),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--identities", type=int, default=96)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--root", type=pathlib.Path, help="keeps what was made there")
    flags = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        root = flags.root or pathlib.Path(temporary)
        print(json.dumps(measure(root, flags.identities, flags.devices)))


if __name__ == "__main__":
    main()
