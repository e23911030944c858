"""Weak scaling of a training step: what does it send, and how long would that take?

    python -m benchmarks.scaling_on_paper

One identity a device: for each number of host devices a process compiles the step of
`configs/multi_id.py:draft_cpu`, and the compiled program shows its collectives and
memory. Nothing is run. Then a table, computed and not measured, of sending full_gpu's
bytes to 1 to 512 GPUs: those of the shared parameters (`as_reckoned` says whether the
compiled programs agree), with the rates and latencies below, and no computation while
bytes are sent. A table and one JSON line.
"""

import json
import os
import subprocess
import sys

import jax
from absl import app, flags

from benchmarks import timing
from benchmarks.scaling_measured import collectives, compile_step
from configs import multi_id
from lokitalk_jax.model import architecture

# Bytes a second of one GPU, each direction. NVLink: half of the 900 GB/s of both in
# NVIDIA's data sheets of the H100 and H200 SXM. InfiniBand: one 400 Gb/s port for each
# GPU, as in NVIDIA's DGX H100 user guide.
GPUS_OF_NODE, NVLINK, INFINIBAND = 8, 450e9, 50e9
# Seconds that a message waits besides its bytes, as NCCL reckons (`hwLat` in its
# src/graph/tuning.cc: ring, protocol Simple). A tree would send fewer messages.
NVLINK_HOP, INFINIBAND_HOP = 3.4e-6, 14e-6
GPUS, EFFICIENCY = (1, 8, 64, 512), 0.9


def ring_seconds(count: int, size: float, rate: float, hop: float = 0.0) -> float:
    """Seconds of a ring all-reduce of `size` bytes among `count` devices."""
    messages = 2 * (count - 1)
    return messages / count * size / rate + messages * hop


def sum_seconds(gpus: int, size: float, latency: bool = False) -> float:
    """Seconds of an all-reduce of `size` bytes, within nodes and then between them.

    Each GPU of a node sums one share of the bytes, then with its peers of other nodes,
    all shares at once; then the node puts them together. `gpus` are up to a node's, or
    a multiple of it; with `latency`, messages wait.
    """
    inside = min(gpus, GPUS_OF_NODE)
    within = ring_seconds(inside, size, NVLINK, latency * NVLINK_HOP)
    share, nodes = size / inside, -(-gpus // GPUS_OF_NODE)
    return within + ring_seconds(nodes, share, INFINIBAND, latency * INFINIBAND_HOP)


def least_compute(seconds: float, efficiency: float = EFFICIENCY) -> float:
    """Seconds a step must compute, so that sending leaves it that efficiency."""
    return seconds * efficiency / (1 - efficiency)


def shared_bytes(config) -> int:
    """What a step sends: the shared parameters' gradients, and the weight, a scalar."""
    spec = architecture.from_config(config)
    shapes = jax.eval_shape(
        lambda key: architecture.init(spec, key, 1), jax.random.key(0)
    )
    leaves = jax.tree.leaves(shapes["shared"])
    return 4 + sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def compiled_facts(config) -> dict:
    """Of the step of an identity on each of this process's devices; not run."""
    program, _, _, _ = compile_step(config, jax.device_count())
    memory, found = program.memory_analysis(), collectives(program.as_text())
    return {
        "devices": jax.device_count(),
        "collectives": [kind for kind, _ in found],
        "bytes": sum(size for _, size in found),
        "held_mb": round(memory.argument_size_in_bytes / 1e6, 2),
        "temporary_mb": round(memory.temp_size_in_bytes / 1e6, 2),
    }


def on_paper(gpus: int, size: int) -> dict:
    """A row of the table: milliseconds, of bytes alone and with latency."""
    row = {"gpus": gpus}
    for name, latency in (("", False), ("_with_latency", True)):
        seconds = sum_seconds(gpus, size, latency)
        row["ms" + name] = round(1e3 * seconds, 4)
        row["least_compute_ms" + name] = round(1e3 * least_compute(seconds), 3)
    return row


def main(_) -> None:
    """Compiles in a process for each number of devices, and reckons in this one."""
    if _INSIDE.value:
        print(json.dumps(compiled_facts(multi_id.get_config("draft_cpu"))))
        return
    jax.config.update("jax_platforms", "cpu")
    compiled = []
    for devices in _DEVICES.value:
        flag = f"--xla_force_host_platform_device_count={devices}"
        line = subprocess.check_output(
            [sys.executable, "-m", "benchmarks.scaling_on_paper", "--inside"],
            env=os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"},
        )
        compiled.append(json.loads(line))
    size = {name: shared_bytes(multi_id.get_config(name)) for name in ("cpu", "gpu")}
    paper = [on_paper(gpus, size["gpu"]) for gpus in GPUS]
    print(f"ON PAPER, {size['gpu'] / 1e6:.1f} MB a step:")
    for row in [paper[0], ["---"] * len(paper[0]), *(x.values() for x in paper)]:
        print("|", " | ".join(map(str, row)), "|")
    timing.report(
        "scaling_on_paper",
        device="compiled for the host, not run",
        devices=0,
        compiled=compiled,
        shared_bytes=size,
        as_reckoned=all(x["bytes"] in (0, size["cpu"]) for x in compiled),
        on_paper=paper,
    )


if __name__ == "__main__":
    _DEVICES = flags.DEFINE_list("devices", ["1", "2", "4", "8"], "Host devices.")
    _INSIDE = flags.DEFINE_bool("inside", False, "Compile for this process's devices.")
    app.run(main)
