"""Times of compiled programs, taken in turns, beside what the machine can do.

A machine's speed drifts, so an absolute time on a CPU tells little. Programs that are
compared run one after the other in every round, and a ratio is taken of their medians.
"""

import json
import subprocess
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
        began = time.perf_counter()
        compiled[name] = jax.jit(function).lower(*arguments).compile()
        seconds = time.perf_counter() - began
        memory = compiled[name].memory_analysis()
        facts[name] = seconds, (memory.temp_size_in_bytes if memory else 0) / 1e6
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
