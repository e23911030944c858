"""What does XLA make of the hash grid on a GPU? Compiled and not run: needs no GPU.

    python -m benchmarks.hashgrid_gpu_code --features=2

The grid's GPU form (16 levels, T = 2**19) is compiled for an NVIDIA H200, forward and
with the gradients of table and points. One JSON line gives the number of kernels, the
memory besides inputs and outputs, and how the table's gradient is summed: by native
atomics, of vectors where an entry has several features, or by a compare-and-swap loop,
which is slow where many points share an entry. Of jaxlib 0.10.0 to 0.11.2, 0.10.2 and
0.11.0 write that loop for one feature; XLA_FLAGS=--xla_gpu_ftz=true avoids it. Install
jax-cuda12-plugin and jax-cuda12-pjrt of jax's own version, and nvidia-cuda-nvcc-cu12
where no CUDA toolkit is; without a plugin the benchmark says that it is skipped.
"""

import collections
import importlib.metadata
import os
import pathlib
import re
import shutil
import sys
import tempfile

import jax
import jax.numpy as jnp
from absl import app, flags
from jax.experimental import topologies

from benchmarks import timing
from lokitalk_jax.model import hashgrid

PLUGINS = ("jax-cuda12-pjrt", "jax-cuda13-pjrt")
ASSEMBLERS = ("nvidia-cuda-nvcc-cu12", "nvidia-cuda-nvcc")

# A GpuTargetConfigProto of XLA: sizes and rates of the H200 (SXM) as NVIDIA gives them
# in its data sheet and, for compute capability 9.0, in the CUDA programming guide.
H200 = """
gpu_device_info {
  name: "NVIDIA H200"
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98 device_address_bits: 64
  memory_bandwidth: 4800000000000 device_memory_size: 141000000000
  l2_cache_size: 52428800
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  driver_version: "12.8.0" runtime_version: "12.8.0"
  compile_time_toolkit_version: "12.8.0"
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
"""


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of those packages that are installed, by name."""
    found = {d.name: d.version for d in importlib.metadata.distributions()}
    return {name: found[name] for name in packages if name in found}


def compiled_facts(function, arguments) -> dict:
    """What a function becomes.

    Args:
      function: of arrays.
      arguments: their shapes, on the devices to compile for.

    Returns:
      `entry_fusions`, and `entry_others` by kind, of the operations that the optimised
      program runs one after the other; `kernels`, distinct ones; `temporary_bytes`;
      `atomics`, each instruction of the kernels with its count; `vector_atomics` and
      `cas_loop`, whether there are any.
    """
    with tempfile.TemporaryDirectory() as folder:
        # By jaxlib 0.11.2 kernels are written out only if the last option is given.
        options = {"xla_dump_to": folder, "xla_dump_emitter_re": ".*"}
        compiled = jax.jit(function).lower(*arguments).compile(options)
        ptx = "".join(p.read_text() for p in sorted(pathlib.Path(folder).glob("*.ptx")))
    entry = re.search(r"^ENTRY .*?^}", compiled.as_text(), re.M | re.S).group()
    # A line is `%name = type operation(...)`; tuple types have spaces of their own.
    kinds = collections.Counter(re.findall(r"^ .*? = .*? ([a-z][\w-]*)\(", entry, re.M))
    for free in ("parameter", "constant", "tuple", "get-tuple-element", "bitcast"):
        kinds.pop(free, None)
    atomics = collections.Counter(re.findall(r"\b(?:atom|red)\.[\w.:]+", ptx))
    return {
        "entry_fusions": kinds.pop("fusion", 0),
        "entry_others": dict(kinds),
        "kernels": len(re.findall(r"\.entry\b", ptx)),
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes,
        "atomics": dict(atomics),
        "vector_atomics": any(re.search(r"\.v\d", name) for name in atomics),
        "cas_loop": any(".cas" in name for name in atomics),
    }


def main(_) -> None:
    """Compiles, and prints the line."""
    compilers = installed(PLUGINS)
    if not compilers:
        print(f"gpu_compile: skipped, as neither of {PLUGINS} is installed")
        return
    if not installed(ASSEMBLERS) and not shutil.which("ptxas"):  # XLA would crash
        sys.exit(f"gpu_compile: no ptxas on PATH; install one of {ASSEMBLERS}")
    # Nothing is run; without this, JAX looks for a GPU and for all of CUDA's libraries.
    jax.config.update("jax_platforms", "cpu")
    spec = hashgrid.GridSpec(16, 16, 2048, 19, _FEATURES.value)

    def loss(table, points):  # the cotangent varies, as it does in training
        return 0.5 * jnp.sum(hashgrid.encode(table, points, spec) ** 2)

    try:
        devices = topologies.get_topology_desc(
            "h200", "cuda", topology="1x1x1", target_config=H200
        ).devices
        sharding = jax.sharding.SingleDeviceSharding(devices[0])
        arguments = [
            jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)
            for shape in (hashgrid.table_shape(spec), (3, _POINTS.value))
        ]
        forward = compiled_facts(lambda *x: hashgrid.encode(*x, spec), arguments)
        both = compiled_facts(jax.value_and_grad(loss, (0, 1)), arguments)
    except (NotImplementedError, jax.errors.JaxRuntimeError) as error:
        reason = str(error).partition("\n")[0]
        sys.exit(f"gpu_compile: {compilers} did not compile for the H200: {reason}")
    if not both["kernels"]:
        sys.exit(f"gpu_compile: {compilers} wrote no PTX, so atomics are not known")
    timing.report(
        "hashgrid_gpu_code",
        device="NVIDIA H200, compiled for and not run on",
        devices=0,
        compilers=compilers,
        xla_flags=os.environ.get("XLA_FLAGS", ""),
        points=_POINTS.value,
        grid=spec._asdict(),
        forward=forward,
        value_and_grad=both,
    )


if __name__ == "__main__":
    _POINTS = flags.DEFINE_integer("points", 65536, "Points.", lower_bound=1)
    _FEATURES = flags.DEFINE_integer("features", 2, "Of an entry.", lower_bound=1)
    app.run(main)
