"""Times of compiled programs, taken in turns, and the peak rates of the machine.

The speed of a CPU drifts with its load, so an absolute time says little. Programs that
are compared run one after the other in every round, and ratios are of their medians.
"""

import gzip
import json
import pathlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Timing(NamedTuple):
    """Of one program.

    Attributes:
      median_ms, p90_ms: of the rounds after warm-up.
      compile_s: seconds to compile it.
      temporary_mb: memory it needs besides its inputs and outputs, as XLA planned it.
    """

    median_ms: float
    p90_ms: float
    compile_s: float
    temporary_mb: float


def in_turns(
    programs: Mapping[str, tuple[Callable, tuple]], rounds: int = 30, warm_up: int = 3
) -> dict[str, Timing]:
    """Times programs in turns.

    Args:
      programs: by name, a function of arrays and its arguments.
      rounds: how often each is run.
      warm_up: rounds that do not count.
    """
    compiled, facts = {}, {}
    for name, (function, arguments) in programs.items():
        compiled[name], *facts[name] = compile_timed(function, arguments)
    times = {name: [] for name in programs}
    for _ in range(warm_up + rounds):
        for name, (_, arguments) in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(compiled[name](*arguments))
            times[name].append(1000 * (time.perf_counter() - began))
    return {
        name: Timing(
            float(np.median(values[warm_up:])),
            float(np.percentile(values[warm_up:], 90)),
            *facts[name],
        )
        for name, values in times.items()
    }


def compile_timed(function: Callable, arguments: tuple):
    """A compiled program, the seconds that it took, and its temporary memory in MB."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - began
    memory = program.memory_analysis()
    return program, seconds, (memory.temp_size_in_bytes if memory else 0) / 1e6


def by_scope(
    program: jax.stages.Compiled, arguments: tuple, scopes: Mapping[str, str]
) -> dict[str, float]:
    """Milliseconds of a program by the part of the source that they come from.

    From a profile: milliseconds of all threads, so that they add up to more than the
    program takes where parts run in parallel.

    Args:
      program: compiled.
      arguments: of it.
      scopes: by part, a pattern for the names of operations; the first that is found
        counts. What none names is "other".
    """
    names = {}
    for line in program.as_text().splitlines():
        if found := re.match(r'\s*(?:ROOT )?%?([\w.-]+) = .*op_name="([^"]*)"', line):
            names[found[1]] = found[2]
    runs, total = 3, dict.fromkeys([*scopes, "other"], 0.0)
    jax.block_until_ready(program(*arguments))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(runs):
                jax.block_until_ready(program(*arguments))
        (trace,) = pathlib.Path(folder).glob("plugins/profile/*/*.trace.json.gz")
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    for event in events:
        operation = event.get("args", {}).get("hlo_op", "")
        # Loops hold what is listed by itself.
        if operation and not operation.startswith(("while", "call", "conditional")):
            name = names.get(operation, operation)
            part = next((k for k, v in scopes.items() if re.search(v, name)), "other")
            total[part] += event["dur"] / 1000 / runs
    return total


def peaks(rounds: int = 10) -> dict[str, float]:
    """What this machine reaches: {"matmul_gflops", "copy_gb_s"}, float32."""
    side, length = 1536, 1 << 25
    square, line = jnp.ones((side, side)), jnp.ones(length)
    found = in_turns(
        {
            "matmul": (lambda x: x @ x, (square,)),
            "copy": (lambda x: x + 1, (line,)),
        },
        rounds,
    )
    return {
        "matmul_gflops": 2 * side**3 / found["matmul"].median_ms / 1e6,
        "copy_gb_s": 2 * 4 * length / found["copy"].median_ms / 1e6,
    }


def report(name: str, **facts) -> None:
    """Prints one JSON line: what was measured, of which commit, where."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    device = jax.local_devices()[0]
    where = {"device": device.device_kind, "devices": jax.device_count()}
    line = {"benchmark": name, "commit": commit, "jax": jax.__version__, **where}
    print(json.dumps(line | facts, default=_rounded), flush=True)


def rounded(timings: Mapping[str, Timing]) -> dict[str, dict[str, float]]:
    """Timings for JSON, to three digits."""
    return {
        name: {key: float(f"{value:.3g}") for key, value in one._asdict().items()}
        for name, one in timings.items()
    }


def _rounded(value):
    return float(f"{float(value):.4g}")
