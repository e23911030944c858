"""Devices of the tests: eight on the host's processor, chosen before JAX starts."""

import functools
import os
import pathlib
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        # What runs for seconds need not be compiled well, which takes longer.
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
    ]
).strip()
# Most of the suite's time is XLA's; a second run finds the programs compiled.
_CACHE = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(_CACHE / "lokitalk-jax" / "xla-tests")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import filelock  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402 (what it loads may import JAX)

# Shapes that broadcast by adding axes hide mistakes; they are spelled out instead.
jax.config.update("jax_numpy_rank_promotion", "raise")


def _once(factory, name: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
    """A folder that one of the workers fills and all of them read."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    with filelock.FileLock(root / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A run on two identities of the demo cast; see `tiny_run`."""
    import tiny_run

    return tiny_run.at(_once(tmp_path_factory, "tiny", tiny_run.make))


@pytest.fixture(scope="session")
def strangers(tmp_path_factory):
    """A folder of two identities that `tiny_run` was not trained on."""
    from lokitalk_jax import demo

    root = tmp_path_factory.mktemp("strangers")
    demo.make_cast(root, identities=2, seconds=2, size=48, seed=77, workers=1)
    return root


@pytest.fixture(scope="session")
def spoken_run(tiny_run, tmp_path_factory):
    """That run with a voice, and a sound file; see `spoken_run`."""
    import spoken_run

    make = functools.partial(spoken_run.make, tiny_run)
    return spoken_run.at(_once(tmp_path_factory, "spoken", make))


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """A folder of three small identities."""
    import tiny_train

    return _once(tmp_path_factory, "people", tiny_train.write_people)


@pytest.fixture(scope="session")
def whole_run(people, tmp_path_factory):
    """A run of `train.py` on four devices without any interruption."""
    import tiny_train

    def make(folder: pathlib.Path) -> None:
        workdir = folder / "run"
        tiny_train.finish(tiny_train.start(people, workdir), workdir)

    return _once(tmp_path_factory, "whole", make) / "run"


@pytest.fixture
def avatar(tiny_run):
    """A person of that run."""
    from lokitalk_jax.avatar.run import OpenRun

    return OpenRun(tiny_run.workdir).avatar("demo_01")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Commands leave the log to pytest."""
    from lokitalk_jax import process

    monkeypatch.setattr(process, "show_log", lambda: None)


@pytest.fixture
def in_process(monkeypatch):
    """A command inside the test's process, which has started, and off the network."""
    from lokitalk_jax import process
    from lokitalk_jax.preparation import face_model

    monkeypatch.setattr(process, "start", lambda: None)
    monkeypatch.setattr(face_model, "find", lambda path=None: None)
