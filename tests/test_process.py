"""How a command's process starts."""

import os
import subprocess
import sys

import jaxlib.version
import pytest

from lokitalk_jax import process

_SEEN = """
import os
from lokitalk_jax import process
process.start()
import jax
jax.numpy.ones(2) + 1
print(os.environ.get("XLA_FLAGS", ""), jax.config.jax_compilation_cache_dir)
"""


def test_flushing_is_added_to_other_flags_where_atomics_are_slow(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    monkeypatch.setattr(jaxlib.version, "__version__", "99.0")
    process.use_native_atomics()
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x"
    monkeypatch.setattr(jaxlib.version, "__version__", "0.10.2")
    process.use_native_atomics()
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x --xla_gpu_ftz=true"


def test_a_choice_that_was_made_is_kept(monkeypatch):
    monkeypatch.setattr(jaxlib.version, "__version__", "0.10.2")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_ftz=false")
    process.use_native_atomics()
    assert os.environ["XLA_FLAGS"] == "--xla_gpu_ftz=false"


def test_a_process_starts_with_a_cache_in_the_users_folder(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": ""}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", _SEEN], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(str(tmp_path / "lokitalk-jax" / "xla"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--config=configs/nowhere.py"],
            "--config=configs/nowhere.py is neither a file nor",
        ),
        (["--config=configs/nowhere.py", "--config.seed=1"], "is neither a file nor"),
        (
            ["--config=configs/single_id.py:draft_cpu", "--config.train.stepz=3"],
            "no field 'train.stepz'; did you mean train.steps",
        ),
        (
            ["--config=configs/single_id.py:draft_cpu", "--config.trane.steps=3"],
            "no field 'trane.steps'",
        ),
    ],
)
def test_a_config_that_does_not_exist_is_reported_without_a_traceback(
    flags, message, tmp_path
):
    workdir = tmp_path / "run"
    ended = subprocess.run(
        [sys.executable, "train.py", *flags, f"--workdir={workdir}"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1 and not workdir.exists()
    assert "train.py: " in ended.stderr and message in ended.stderr
    assert "Traceback" not in ended.stderr
