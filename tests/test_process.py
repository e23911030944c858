"""How a command's process starts."""

import argparse
import os
import signal
import socket
import subprocess
import sys

import jaxlib.version
import pytest

from lokitalk_jax import files, process
from lokitalk_jax.cli import terminal

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


_DAMAGED = '''
import asyncio, sys
from lokitalk_jax import process
process.show_log()

class Answer:
    def __init__(self, run):
        self._run = run
    def __del__(self):  # errors here can only be shown
        self._run()

closed = asyncio.new_event_loop()
closed.close()
Answer(lambda: closed.call_soon_threadsafe(print))
Answer(lambda: 1 / 0)

WAIT = """
class Never:
    def __await__(self):
        yield

async def wait():
    try:
        await Never()
    except BaseException as error:
        raise Exception(__file__) from error
"""
for name in "/site/orbax/reads.py", "/site/other/reads.py":
    space = {"__file__": name}
    exec(compile(WAIT, name, "exec"), space)
    waiting = space["wait"]()
    waiting.send(None)
    del waiting, space  # collected before it ends
'''


def test_reads_that_a_damaged_checkpoint_leaves_behind_say_nothing():
    done = subprocess.run(
        [sys.executable, "-c", _DAMAGED], capture_output=True, text=True
    )
    assert "Event loop is closed" not in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Exception: /site/orbax/reads.py" not in done.stderr
    assert "Exception: /site/other/reads.py" in done.stderr


_COLLECTING = """
import gc, os, signal, sys, time
from lokitalk_jax import process

def callback(phase, _):
    if phase == "start" and gc.callbacks:
        gc.callbacks.clear()
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.01)  # the signal is handled here

# A shell that starts tests in the background ignores SIGINT for all of them.
signal.signal(signal.SIGINT, signal.default_int_handler)
gc.callbacks.append(callback)
with process.ending_on_term():
    gc.collect()
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_not_lost_in_the_garbage_collector(number):
    command = [sys.executable, "-c", _COLLECTING, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    wanted = process.STOPPED if number == signal.SIGTERM else -signal.SIGINT
    assert done.returncode == wanted
    assert "ignored" not in done.stderr


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


_FAILS = """
import argparse, time
from lokitalk_jax import process
from lokitalk_jax.cli import terminal
def command():
    process.start()
    raise {error}
print(terminal.run(command, argparse.Namespace(program="x", names=[])))
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ValueError('no data')", "x: process 0 on {host}: no data"),
        ("ZeroDivisionError", "ZeroDivisionError"),
    ],
)
def test_a_process_of_a_cluster_that_fails_ends_at_once(error, words):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "LOKITALK_COORDINATOR": f"localhost:{port}",
        "LOKITALK_PROCESSES": "1",
        "LOKITALK_PROCESS": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-c", _FAILS.format(error=error)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1 and not ended.stdout
    assert words.format(host=socket.gethostname()) in ended.stderr


def test_sigterm_ends_in_one_line_and_files_in_the_making_go(tmp_path, capsys):
    def command():
        with files.replacing(tmp_path / "film.mp4") as temporary:
            temporary.touch()
            signal.raise_signal(signal.SIGTERM)

    flags = argparse.Namespace(program="x", names=[])
    before = signal.getsignal(signal.SIGTERM)
    assert terminal.run(command, flags, "the same command continues") == 75
    written = capsys.readouterr().err.strip()
    assert written == "x: stopped by SIGTERM: the same command continues"
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


_APART = """
import argparse, pathlib, sys
from lokitalk_jax import process
from lokitalk_jax.cli import terminal
def command():
    process.start()
    from lokitalk_jax.training import shared_folder
    shared_folder._SECONDS = 1
    workdir = pathlib.Path(sys.argv[1])
    workdir.mkdir(exist_ok=True)
    shared_folder.check(workdir)
    print("shared", flush=True)
sys.exit(terminal.run(command, argparse.Namespace(program="x", names=["workdir"])))
"""


@pytest.mark.parametrize("names", [("run", "run"), ("run", "other")])
def test_a_workdir_that_is_not_shared_is_noticed(names, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", _APART, str(tmp_path / name)],
            env=os.environ
            | {
                "LOKITALK_COORDINATOR": f"localhost:{port}",
                "LOKITALK_PROCESSES": "2",
                "LOKITALK_PROCESS": str(index),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index, name in enumerate(names)
    ]
    apart = names[0] != names[1]
    try:
        said = pair[1].stdout.readlines()
        if apart:
            wanted = f"x: process 1 on {socket.gethostname()}: "
            wanted += f"--workdir={tmp_path / 'other'} is not shared: host "
            assert any(wanted in line for line in said), said
        else:
            assert "shared\n" in said and "shared\n" in pair[0].stdout.readlines()
            assert not list((tmp_path / "run").iterdir())
    finally:
        for process_ in pair:
            process_.kill()
            process_.stdout.close()
            process_.wait()


def test_cores_are_shared_without_a_word_to_commands():
    program = """
import os
from lokitalk_jax import process
process.tune()
before = dict(os.environ)
process.share_cores()
assert dict(os.environ) == before
import jax, jax.numpy as jnp
assert not jax.config.values["jax_cpu_enable_async_dispatch"]
print(float(jnp.ones(9).sum()))
"""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    written = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert written.stdout.strip() == "9.0", written.stderr
