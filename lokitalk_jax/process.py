"""How a process starts: logs, memory, compilation cache, cluster."""

import ctypes
import functools
import logging
import os
import pathlib
import platform

import jaxlib.version
from absl import logging as absl_logging
from tqdm import tqdm

_SLOW_ATOMICS = ("0.10.2", "0.11.0")  # versions of jaxlib


def start() -> None:
    """Sets a command's process up; call it before JAX touches a device."""
    show_log()
    tune()
    _join_cluster()


@functools.cache
def tune() -> None:
    """Speeds the process up, once; has less effect after JAX has touched a device."""
    tune_memory()
    use_native_atomics()
    _cache_programs()


class _AboveBars(logging.StreamHandler):
    """Writes lines to standard error above the bars that are drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=self.stream)


@functools.cache
def show_log() -> None:
    """Shows the log of this package, and only errors of Orbax, which warns often."""
    own = logging.getLogger("lokitalk_jax")
    handler = _AboveBars()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False
    absl_logging.set_verbosity(absl_logging.ERROR)


def tune_memory() -> None:
    """Keeps freed memory in the process, as XLA:CPU allocates it again in every call.

    Page faults would cost a third of a training step, and more of a render. Needs
    glibc; LOKITALK_MALLOC=default leaves the allocator unchanged.
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
    """Makes scatter-adds of single floats on GPUs use the hardware's atomics.

    Some versions of jaxlib compile them to a loop of compare and swap
    (openxla/xla#46225), hundreds of times slower where many threads add to one number,
    unless denormals are flushed to zero. Pairs, as in the hash grid, are not affected
    (`benchmarks/hashgrid_gpu_code.py`). To be dropped with support for those versions.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if jaxlib.version.__version__ in _SLOW_ATOMICS and "xla_gpu_ftz" not in given:
        os.environ["XLA_FLAGS"] = f"{given} --xla_gpu_ftz=true".strip()


def _cache_programs() -> None:
    """Keeps compiled programs in the user's cache, unless JAX has another folder."""
    import jax

    field = "jax_compilation_cache_dir"
    if jax.config.values[field] is None:
        root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update(field, str(pathlib.Path(root, "lokitalk-jax", "xla")))


def _join_cluster() -> None:
    """Joins the cluster that JAX detects, or that LOKITALK_* variables describe."""
    import jax

    names = ("COORDINATOR", "PROCESSES", "PROCESS")
    address, count, number = (os.environ.get(f"LOKITALK_{name}") for name in names)
    if address and count and number:
        jax.distributed.initialize(address, int(count), int(number))
    elif address or count or number:
        raise ValueError(
            "LOKITALK_COORDINATOR (host:port), LOKITALK_PROCESSES and LOKITALK_PROCESS "
            "(the number of this process) go together; got "
            f"{[address, count, number]}"
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
