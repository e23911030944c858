"""Runs commands one after another in one process."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import traceback

from benchmarks import small_model

LONGEST = 1200  # seconds that a command may take, on a busy machine


class Worker:
    """A process that runs commands one after another; a new one after a crash."""

    def __init__(self, log: pathlib.Path, programs: pathlib.Path):
        """Starts none.

        Args:
          log: receives what the commands print.
          programs: folder of compiled programs.
        """
        self._log = log
        self._variables = {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": small_model.XLA_FLAGS,
            "JAX_COMPILATION_CACHE_DIR": str(programs),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        self._process: subprocess.Popen | None = None

    def do(self, arguments: list[str]) -> tuple[int | None, str]:
        """The exit status, None for a crash or a hang, and the output."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.command_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=open(self._log, "ab"),
                text=True,
                env=os.environ | self._variables,
            )
        begin = self._log.stat().st_size if self._log.exists() else 0
        pipes = self._process.stdin, self._process.stdout
        assert pipes[0] is not None and pipes[1] is not None
        pipes[0].write(json.dumps(arguments) + "\n")
        pipes[0].flush()
        killer = threading.Timer(LONGEST, self._process.kill)
        killer.start()
        answer = pipes[1].readline()
        killer.cancel()
        with open(self._log, "rb") as file:
            file.seek(begin)
            output = file.read().decode(errors="replace")
        return (int(answer) if answer.strip() else None), output

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def work() -> None:
    """Answers commands on standard input with exit statuses."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from lokitalk_jax.cli import main

    for line in sys.stdin:
        try:
            status = main.main(json.loads(line))
        except SystemExit as stopped:
            status = stopped.code if isinstance(stopped.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(f"{status or 0}\n")
        answers.flush()


if __name__ == "__main__":
    work()
