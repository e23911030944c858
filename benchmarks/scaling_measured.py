"""How do memory, communication and time of a step grow with identities?

    python -m benchmarks.scaling_measured --devices=1,2,4,8 --identities=1,8,64

For each number of host devices a process compiles the training step of
`configs/multi_id.py:draft_cpu` for each number of identities and runs it a few times.
Host devices share the machine's cores, so times can be compared within a column only.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from configs import multi_id
from lokitalk_jax import sharding
from lokitalk_jax.structs import (
    EYE_REST,
    REGIONS,
    TORSO_LAGS,
    Batch,
    References,
    Signals,
)
from lokitalk_jax.training import train_step

_COLLECTIVE = re.compile(
    r"= (.+?) (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    r"|collective-broadcast|ragged-all-to-all)(?:-start)?\("
)
_BYTES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1}
_RUNS = 3


def collectives(text: str) -> list[tuple[str, int]]:
    """Kinds of a compiled program's collectives, and the bytes that each carries."""
    found = []
    for result, kind in _COLLECTIVE.findall(text):
        size = 0
        for dtype, dims in re.findall(r"(\w+)\[([\d,]*)\]", result):
            size += _BYTES[dtype] * int(np.prod([int(n) for n in dims.split(",") if n]))
        found.append((kind, size))
    return found


def empty_batch(config, identities: int) -> Batch:
    """A batch of N identities that see nothing, of the shapes that training has."""
    n, b, r = identities, config.data.frames_per_step, config.data.rays_per_frame
    k, e = config.data.references, config.model.reference_size

    def zeros(*shape):
        return np.zeros(shape, np.float32)

    return Batch(
        pixels=zeros(n, b, r, 2),
        rgb=zeros(n, b, r, 3),
        plate=zeros(n, b, r, 3),
        alpha=zeros(n, b, r),
        regions=zeros(n, b, r, len(REGIONS)),
        intrinsics=np.ones((n, 3), np.float32),
        head_to_camera=np.broadcast_to(np.eye(4, dtype=np.float32), (n, b, 4, 4)),
        signals=Signals(
            lip=zeros(n, b, config.model.lip_dim),
            eye=zeros(n, b, len(EYE_REST)),
            head=zeros(n, b, 6),
            torso=zeros(n, b, 6 * len(TORSO_LAGS)),
        ),
        weight=np.ones(n, np.float32),
        references=References(zeros(n, k, e, e, 4), zeros(n, k, 8)),
        face_points=zeros(n, b, config.data.landmarks, 3)
        if config.loss.landmarks
        else None,
    )


def compile_step(config, identities: int):
    """The step of N identities on all devices of this process, compiled and not run.

    Returns:
      the program, the shapes of its state with their shardings, an empty batch, and the
      mesh.
    """
    mesh = sharding.make_mesh(identities)
    spec = train_step.from_config(config, identities, mesh.shape["identity"])
    init = functools.partial(train_step.init_state, spec)
    shapes = jax.eval_shape(init, np.uint32(0), np.arange(identities))
    shardings = sharding.state_shardings(shapes, mesh)
    batch = empty_batch(config, identities)
    train, _ = train_step.compile_steps(spec, shardings, sharding.by_identity(mesh))
    batch = jax.device_put(batch, sharding.batch_shardings(batch, mesh))
    placed = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        shapes,
        shardings,
    )
    return train.lower(placed, batch, None).compile(), placed, batch, mesh


def measure(config, identities: int) -> dict:
    """Compiles and runs the step of N identities on all devices of this process."""
    program, shapes, batch, mesh = compile_step(config, identities)
    memory = program.memory_analysis()
    found = collectives(program.as_text())
    state = jax.jit(
        lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
        out_shardings=jax.tree.map(lambda s: s.sharding, shapes),
    )()
    seconds = []
    for _ in range(_RUNS + 1):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(program(state, batch, None))
        seconds.append(time.perf_counter() - began)
    return {
        "devices": jax.device_count(),
        "mesh": list(mesh.shape.values()),
        "identities": identities,
        # Of one device: what it holds between steps, and what a step needs on top.
        "held_bytes": int(memory.argument_size_in_bytes),
        "temporary_bytes": int(memory.temp_size_in_bytes),
        "collectives": len(found),
        "collective_bytes": sum(size for _, size in found),
        "step_seconds": round(float(np.median(seconds[1:])), 4),
    }


def main(_) -> None:
    """Starts a process for each number of devices, or measures in this one."""
    if _INSIDE.value:
        for count in map(int, _IDENTITIES.value):
            print(
                json.dumps(measure(multi_id.get_config("draft_cpu"), count)), flush=True
            )
        return
    for devices in _DEVICES.value:
        flag = f"--xla_force_host_platform_device_count={devices}"
        counts = [n for n in _IDENTITIES.value if int(n) >= int(devices)]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.scaling_measured", "--inside"]
            + [f"--identities={','.join(counts)}"],
            check=True,
            cwd=pathlib.Path(__file__).resolve().parents[1],
            env=os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"},
        )


if __name__ == "__main__":
    _DEVICES = flags.DEFINE_list("devices", ["1", "2", "4", "8"], "Host devices.")
    _IDENTITIES = flags.DEFINE_list("identities", ["1", "8", "64"], "N.")
    _INSIDE = flags.DEFINE_bool("inside", False, "Measure with this process's devices.")
    app.run(main)
