"""The command `lokitalk`."""

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence

from lokitalk_jax.cli import terminal

# By its first word: the module that a command is in, and the words put before the
# other ones.
_COMMANDS = {
    "prepare": ("prepare", []),
    "train": ("train", []),
    "render": ("render", []),
    "reenact": ("render", ["reenact"]),
    "speak": ("render", ["speak"]),
    "evaluate": ("render", ["evaluate"]),
    "compare": ("compare", []),
    "demo": ("demo", []),
    "studio": ("studio", []),
}
_VIDEOS = ("--truth", "--pred", "--panels")  # to score videos instead of a run
_HELP = """\
usage: lokitalk COMMAND ...

  prepare    make an identity folder of a video; check or convert one
  train      train a run on identity folders
  reenact    render frames of a clip again, moved as they were or by someone else
  speak      render an identity speaking the words of a sound file
  evaluate   score held-out frames of a run; with --truth and --pred, compare
  compare    score videos of any programs against the true ones
  render     reenact, speak or evaluate, by its flags
  demo       make animated heads to train on
  studio     serve a page that does all this in a browser

`lokitalk COMMAND --help` says more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "evaluate" and any(one.startswith(_VIDEOS) for one in rest):
        name = "compare"
    if name in _COMMANDS:
        module, before = _COMMANDS[name]
        try:
            command = importlib.import_module(f"lokitalk_jax.cli.{module}")
        except KeyboardInterrupt:
            return terminal.INTERRUPTED  # before anything began
        program = "lokitalk" if before else f"lokitalk {name}"
        return command.main([*before, *rest], program)
    if name == "--version":
        print(importlib.metadata.version("lokitalk-jax"))
        return 0
    if name in ("-h", "--help"):
        print(_HELP)
        return 0
    reason = f"no command {name!r}" if name else "no command"
    print(f"lokitalk: {reason}\n\n{_HELP}", file=sys.stderr)
    return 2
