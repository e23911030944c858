"""How a command's process starts: memory, compilation cache, cluster."""

import ctypes
import logging
import os
import pathlib
import platform

import jax

_SLOW_ATOMICS = ("0.10.2", "0.11.0")


def start() -> None:
    """Sets the process up; call it before JAX touches a device."""
    _speak()
    tune_memory()
    use_native_atomics()
    _cache_programs()
    _join_cluster()


def _speak() -> None:
    """Lets the project's own log lines through, and of the libraries' only warnings."""
    own = logging.getLogger("lokitalk_jax")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False


def tune_memory() -> None:
    """Stops glibc from handing freed memory back, which XLA:CPU asks for every call.

    Page faults on it cost a third of a training step and more of a render. Memory then
    stays with the process; LOKITALK_MALLOC=default leaves the allocator alone.
    """
    if platform.libc_ver()[0] != "glibc" or (
        os.environ.get("LOKITALK_MALLOC") == "default"
    ):
        return
    arena_max, mmap_max, trim_threshold, top_pad = -8, -4, -1, -2
    libc = ctypes.CDLL(None)
    libc.mallopt(arena_max, 1)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 256 << 20)


def use_native_atomics() -> None:
    """Has GPUs add single numbers up by their own atomics, on the jaxlibs that do not.

    Those write a loop of compare and swap (openxla/xla#46225), hundreds of times slower
    where many threads add to one number, unless tiny numbers are flushed to zero.
    Pairs, which the hash grid has, are not affected
    (`benchmarks/hashgrid_gpu_code.py`). To be dropped with support for those versions.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if jax.lib.__version__ in _SLOW_ATOMICS and "xla_gpu_ftz" not in given:
        os.environ["XLA_FLAGS"] = f"{given} --xla_gpu_ftz=true".strip()


def _cache_programs() -> None:
    """Keeps compiled programs in the user's cache, unless JAX was told where."""
    if jax.config.jax_compilation_cache_dir is None:
        root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update(
            "jax_compilation_cache_dir", str(pathlib.Path(root, "lokitalk-jax", "xla"))
        )


def _join_cluster() -> None:
    """Joins the cluster that JAX detects, or that LOKITALK_* variables describe."""
    names = ("COORDINATOR", "PROCESSES", "PROCESS")
    given = [os.environ.get(f"LOKITALK_{name}") for name in names]
    if all(given):
        jax.distributed.initialize(given[0], int(given[1]), int(given[2]))
    elif any(given):
        raise ValueError(
            "LOKITALK_COORDINATOR (host:port), LOKITALK_PROCESSES and LOKITALK_PROCESS "
            f"(this one's number) go together; got {given}"
        )
    elif _cluster_detected():
        jax.distributed.initialize()


def _cluster_detected() -> bool:
    """Whether a scheduler started several processes."""
    count = os.environ.get("SLURM_NTASKS") or os.environ.get("OMPI_COMM_WORLD_SIZE")
    kubernetes = os.environ.get("JOB_COMPLETION_INDEX") is not None
    tpu_pod = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    inside_task = "SLURM_STEP_NODELIST" in os.environ or "OMPI_COMM_WORLD_SIZE" in (
        os.environ
    )
    return kubernetes or tpu_pod or (inside_task and int(count or 1) > 1)
