"""Weak scaling of a training step: what it sends, and what that takes on paper.

    python -m benchmarks.scaling

One identity a device: for each number of host devices a process compiles the step of
`configs/multi_id.py:cpu`, and XLA's program tells its collectives and memory; nothing is
run. Then a table of what the *gpu* preset would send to 1 to 512 GPUs, ON PAPER: bytes
are those of the shared parameters (that they are what is sent is checked on the cpu
preset), rates and latencies are the constants below, and no step is run beside the
sending. XLA may split the sum on a GPU, which adds latency. A table and one JSON line.
"""

import json
import math
import os
import pathlib
import subprocess
import sys

import jax
from absl import app, flags

from benchmarks import measure
from benchmarks.scaling_identities import collectives, empty_batch
from configs import multi_id
from lokitalk_jax import losses, model, optimizer, sharding, train_step

# Bytes a second of one GPU, each direction. NVLink: half of the 900 GB/s of both in
# NVIDIA's data sheets of the H100 and H200 SXM. InfiniBand: one 400 Gb/s port for each
# GPU, as in NVIDIA's DGX H100 user guide.
GPUS_OF_NODE, NVLINK, INFINIBAND = 8, 450e9, 50e9
# Seconds a message of a ring waits, besides its bytes: what NCCL itself reckons with
# (`hwLatencies`, ring, protocol Simple, in its src/graph/tuning.cc).
NVLINK_HOP, INFINIBAND_HOP = 3.4e-6, 14e-6
EFFICIENCY = 0.9


def ring_seconds(count: int, size: float, rate: float, hop: float = 0.0) -> float:
    """Seconds of a ring all-reduce of `size` bytes among `count` devices."""
    messages = 2 * (count - 1)
    return messages / count * size / rate + messages * hop


def sum_seconds(gpus: int, size: float, latency: bool = False) -> float:
    """Seconds of an all-reduce of `size` bytes, within nodes and then between them.

    Within a node each GPU comes to hold the node's sum of one share of the bytes; GPUs
    of the same share sum it between nodes, all at once; then the node puts it together.

    Args:
      gpus: of all nodes; up to a node's, or a multiple of it.
      size: bytes.
      latency: whether messages wait.
    """
    inside = min(gpus, GPUS_OF_NODE)
    within = ring_seconds(inside, size, NVLINK, latency * NVLINK_HOP)
    share, nodes = size / inside, math.ceil(gpus / GPUS_OF_NODE)
    return within + ring_seconds(nodes, share, INFINIBAND, latency * INFINIBAND_HOP)


def least_compute(seconds: float, efficiency: float = EFFICIENCY) -> float:
    """Seconds a step must compute, so that sending leaves it that efficiency."""
    return seconds * efficiency / (1 - efficiency)


def shared_bytes(config) -> int:
    """What a step sends: the shared parameters' gradients, and the weight, a scalar."""
    spec = model.from_config(config)
    shapes = jax.eval_shape(lambda key: model.init(spec, key, 1), jax.random.key(0))
    leaves = jax.tree.leaves(shapes["shared"])
    return 4 + sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def compiled_facts(config, identities: int) -> dict:
    """Of the step of N identities on all devices of this process; does not run it."""
    mesh = sharding.make_mesh(identities)
    spec = model.from_config(config)
    rates = {name: config.lr[name] for name in optimizer.LearningRates._fields}
    rule = optimizer.make(optimizer.LearningRates(**rates), 100, 5, 0.1)
    shapes = jax.eval_shape(
        lambda key: train_step.init_state(spec, rule, key, identities),
        jax.random.key(0),
    )
    shardings = sharding.state_shardings(shapes, mesh)
    train, _ = train_step.compile_steps(
        spec,
        losses.LossWeights(**config.loss),
        rule,
        config.seed,
        range(identities),
        mesh.shape["identity"],
        config.train.density_points,
        shardings,
        sharding.by_identity(mesh),
    )
    batch = empty_batch(config, identities)
    state, batch = jax.tree.map(
        lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at),
        (shapes, batch),
        (shardings, sharding.batch_shardings(batch, mesh)),
    )
    program = train.lower(state, batch, None).compile()
    memory, found = program.memory_analysis(), collectives(program.as_text())
    return {
        "devices": jax.device_count(),
        "collectives": [kind for kind, _ in found],
        "bytes": sum(size for _, size in found),
        # Of one device: what it holds between steps, and what a step needs on top.
        "held_mb": round(memory.argument_size_in_bytes / 1e6, 2),
        "temporary_mb": round(memory.temp_size_in_bytes / 1e6, 2),
    }


def on_paper(gpus: int, size: int) -> dict:
    """A row of the table: milliseconds, of bytes alone and with latency."""
    row = {"gpus": gpus}
    for name, latency in (("", False), ("_with_latency", True)):
        seconds = sum_seconds(gpus, size, latency)
        row[f"ms{name}"] = round(1e3 * seconds, 4)
        row[f"least_compute_ms{name}"] = round(1e3 * least_compute(seconds), 3)
    return row


def main(_) -> None:
    """Compiles in a process for each number of devices, and reckons in this one."""
    if _INSIDE.value:
        config = multi_id.get_config("cpu")
        print(json.dumps(compiled_facts(config, jax.device_count())))
        return
    jax.config.update("jax_platforms", "cpu")
    compiled = []
    for devices in _DEVICES.value:
        flag = f"--xla_force_host_platform_device_count={devices}"
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.scaling", "--inside"],
            check=True,
            stdout=subprocess.PIPE,
            cwd=pathlib.Path(__file__).resolve().parents[1],
            env=os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"},
        )
        compiled.append(json.loads(run.stdout))
    size = {name: shared_bytes(multi_id.get_config(name)) for name in ("cpu", "gpu")}
    paper = [on_paper(int(gpus), size["gpu"]) for gpus in _GPUS.value]
    print(f"ON PAPER, {size['gpu'] / 1e6:.1f} MB a step:")
    print("| " + " | ".join(paper[0]) + " |\n" + "|---" * len(paper[0]) + "|")
    for row in paper:
        print("| " + " | ".join(map(str, row.values())) + " |")
    facts = {"preset": "cpu", "compiled": compiled, "shared_bytes": size}
    facts["device"], facts["devices"] = "compiled for the host, not run", 0
    measure.report("scaling", **facts, on_paper=paper)


if __name__ == "__main__":
    _DEVICES = flags.DEFINE_list("devices", ["1", "2", "4", "8"], "Host devices.")
    _GPUS = flags.DEFINE_list("gpus", ["1", "8", "64", "512"], "Of the table.")
    _INSIDE = flags.DEFINE_bool("inside", False, "Compile for this process's devices.")
    app.run(main)
