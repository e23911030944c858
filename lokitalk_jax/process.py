"""How a process starts and ends: logs, memory, compilation cache, cluster, signals."""

import contextlib
import ctypes
import functools
import logging
import os
import pathlib
import platform
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import jaxlib.version
from absl import logging as absl_logging
from tqdm import tqdm

_SLOW_ATOMICS = ("0.10.2", "0.11.0")  # versions of jaxlib
_LONGEST_WAIT = 6 * 3600 * 1000  # milliseconds
_AGAIN = 0.05  # seconds after which a dropped signal comes again

STOPPED = 75  # "try again later" in sysexits.h: the same command continues


class Terminated(SystemExit):
    """SIGTERM arrived, and nothing that was done is lost.

    Attributes:
      state: of the work, for the last line that the process writes; or "".
    """

    def __init__(self, state: str = ""):
        super().__init__(STOPPED)
        self.state = state


@contextlib.contextmanager
def ending_on_term() -> Iterator[None]:
    """Has SIGTERM raise `Terminated`, so that files in the making are removed.

    Python drops what is raised in a finaliser or a callback of the garbage collector,
    such as JAX has one; SIGTERM and Ctrl-C that arrive there come again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets the main thread alone handle signals
        return

    def end(*_):
        raise Terminated

    def dropped(seen) -> None:
        numbers = {Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}
        number = numbers.get(seen.exc_type)
        if number is None:
            shown(seen)
        else:
            threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()

    shown, sys.unraisablehook = sys.unraisablehook, dropped
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = shown


def name_in_cluster() -> str:
    """Number and host of this process, or "" where it is the only one."""
    cluster = sys.modules.get("jax._src.distributed")
    if cluster is None or cluster.global_state.client is None:
        return ""
    return f"process {cluster.global_state.process_id} on {socket.gethostname()}"


def leave_cluster(status: int) -> None:
    """Ends a process of several at once; does nothing to a process on its own.

    An ordinary exit would wait for the others, which wait for this one in a step.
    """
    if name_in_cluster():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def meet(name: str) -> None:
    """Waits for all processes, for hours if need be.

    The first collective of CPUs waits for 30 seconds only, and compiling takes longer.

    Args:
      name: of the place, the same on all processes.
    """
    import jax
    import orbax.checkpoint as ocp

    if jax.process_count() > 1:
        wait = ocp.multihost.get_barrier_sync_fn()
        wait(key=name, timeout_ms=_LONGEST_WAIT)


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
    """Shows the log of this package alone: errors of Orbax are raised as well."""
    own = logging.getLogger("lokitalk_jax")
    handler = _AboveBars()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    others = sys.unraisablehook

    def hook(seen) -> None:
        if not _of_an_abandoned_read(seen):
            others(seen)

    sys.unraisablehook = hook


def _of_an_abandoned_read(seen) -> bool:
    """Whether what cannot be raised comes from a read that Orbax no longer waits for.

    Where one array of a checkpoint is damaged, Orbax closes its loop while TensorStore
    still reads others: these have nobody to answer, and the coroutines that wait for
    them raise an error when they are collected, at any later time.
    """
    code = getattr(seen.object, "cr_code", None)
    return str(seen.exc_value) == "Event loop is closed" or (
        code is not None and f"{os.sep}orbax{os.sep}" in code.co_filename
    )


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


@functools.cache
def share_cores() -> None:
    """Has programs on a CPU run in the threads that call them; once, before the first.

    XLA would have the pieces of all programs wait in one queue, a short one that
    predicts a frame behind the long ones that draw. Threads also take turns more often.
    """
    import jax

    tune()
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    sys.setswitchinterval(1e-3)
    before = os.environ.get("XLA_FLAGS")
    if "xla_cpu_multi_thread_eigen" in (before or ""):
        return
    own = "--xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = f"{before or ''} {own}".strip()
    try:
        jax.local_devices()  # reads the flags
    finally:  # commands that are started later use all cores
        if before is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = before


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
