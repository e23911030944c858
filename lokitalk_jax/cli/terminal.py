"""Errors of commands in one line, with parameters named as flags; modes."""

import argparse
import errno
import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended

# Names by which functions and configs speak of values, see `as_flags`.
_VALUE = r"(?<![\w.\-/'\"])({names})=(?:'([^']*)'|([^\s,;)]+))"


def run(
    command: Callable[[], int | None], flags: argparse.Namespace, again: str = ""
) -> int:
    """Runs a command; a bad request, a failed write or a signal ends in one line.

    A process of several ends here where it fails, and `srun` then ends the others.

    Args:
      command: returns the exit status, or None for success.
      flags: of `parse`.
      again: what the same command does after Ctrl-C or SIGTERM.

    Returns:
      the exit status.
    """
    from lokitalk_jax import process

    process.show_log()
    try:
        with process.ending_on_term():
            return _status(command, flags, again)
    except BaseException:
        if process.name_in_cluster():
            traceback.print_exc()
            process.leave_cluster(1)
        raise


def _status(
    command: Callable[[], int | None], flags: argparse.Namespace, again: str
) -> int:
    """The exit status of a command, whose errors become lines."""
    from lokitalk_jax import process

    try:
        return command() or 0
    except OSError as error:
        message = str(error)
        if error.errno == errno.ENOSPC:
            message = f"the disk is full ({error}); free some space and run it again"
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        if in_the_way and error.filename:
            message = f"{error.filename} cannot be a folder, as a file is there"
    except (ValueError, FloatingPointError) as error:
        message = str(error)
    except KeyboardInterrupt as stopped:
        state = str(stopped) or again
        ending = f"interrupted: {state}" if state else "interrupted"
        print(f"\n{flags.program}: {ending}", file=sys.stderr)
        return INTERRUPTED
    except process.Terminated as stopped:
        state = stopped.state or again
        ending = f"stopped by SIGTERM: {state}" if state else "stopped by SIGTERM"
        print(f"\n{flags.program}: {ending}", file=sys.stderr)
        return process.STOPPED
    where = process.name_in_cluster()
    program = f"{flags.program}: {where}" if where else flags.program
    print(f"{program}: {as_flags(message, flags.names)}", file=sys.stderr)
    process.leave_cluster(1)
    return 1


def as_flags(message: str, flags: Collection[str]) -> str:
    """An error of the package with the command's flags in place of parameters.

    Messages of the package give values as `name=value`; these become `--name=value`,
    and switches `--name` or `--no-name`.

    Args:
      message: the error.
      flags: names of the flags; `max-frames` is the flag of the parameter max_frames,
        and `config.train.steps` that of the field train.steps.
    """
    # A remedy may name a run to train, whichever command meets the error.
    flags = ["config", "workdir", *flags]
    known = {flag.removeprefix("config.").replace("-", "_"): flag for flag in flags}
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))

    def flag(found: re.Match) -> str:
        name, value = known[found[1]], found[2] or found[3]
        if value == "True" and not name.startswith("config."):
            return f"--{name}"
        return f"--{name}={value}"

    for name in flags:
        if name.startswith("no-"):
            message = message.replace(f"{name.removeprefix('no-')}=False", f"--{name}")

    return re.sub(_VALUE.format(names=names), flag, message)


class Parser(argparse.ArgumentParser):
    """A parser of whole flags whose help keeps the lines of its description."""

    def __init__(self, program: str, description: str):
        """Starts with no flag but --help."""
        super().__init__(
            prog=program,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def flags(self) -> list[str]:
        """Names of its flags, without dashes."""
        return [
            option.removeprefix("--")
            for action in self._actions
            for option in action.option_strings
            if option.startswith("--")
        ]


Task = Callable[[argparse.Namespace], int | None]


class Mode(NamedTuple):
    """A task of a command, with flags of its own.

    Attributes:
      title: description of the task, for its help.
      add_flags: adds its flags to a parser.
      run: does the task with the parsed flags; returns the exit status, or None for
        success.
      again: what the same command does after Ctrl-C or SIGTERM.
    """

    title: str
    add_flags: Callable[[Parser], None]
    run: Task
    again: str = ""


def run_task(
    task: Task, parser: Parser, arguments: Sequence[str] | None, program: str
) -> int:
    """Runs a command that has one task; `arguments` are by default the process's."""
    given = sys.argv[1:] if arguments is None else arguments
    flags = parse_mode("", {"": parser}, program, given)
    return run(lambda: task(flags), flags)


def run_mode(
    parse: Callable[[Sequence[str], str], tuple[Mode, argparse.Namespace]],
    help_text: str,
    arguments: Sequence[str] | None,
    program: str,
) -> int:
    """Runs the mode that `parse` finds in the arguments, or shows the help."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print(help_text.format(program=program))
        return 0 if given else 2
    mode, flags = parse(given, program)
    return run(lambda: mode.run(flags), flags, mode.again)


def mode_parsers(modes: Mapping[str, Mode], prefix: str) -> dict[str, Parser]:
    """Parsers of modes, by name, which follows `prefix` in their helps."""
    parsers = {name: Parser(prefix + name, mode.title) for name, mode in modes.items()}
    for name, mode in modes.items():
        mode.add_flags(parsers[name])
    return parsers


def parse_mode(
    mode: str, parsers: Mapping[str, Parser], program: str, arguments: Sequence[str]
) -> argparse.Namespace:
    """Parses the flags of one mode; a flag of another one ends the program.

    Args:
      mode: name of the mode.
      parsers: of all modes, by their names.
      program: the name that errors begin with.
      arguments: without the mode's name.

    Returns:
      the flags, and with them `program` and `names`, of all flags of the mode.
    """
    flags, unknown = parsers[mode].parse_known_args(arguments)
    if not unknown:
        flags.program, flags.names = program, parsers[mode].flags()
        return flags
    flag = unknown[0].partition("=")[0]
    homes = [p.prog for p in parsers.values() if flag.removeprefix("--") in p.flags()]
    if not homes:
        parsers[mode].error(f"there is no {unknown[0]}")
    parsers[mode].error(f"{flag} belongs to {' and '.join(homes)}")


def sibling(program: str, name: str) -> str:
    """How another command is called where `program` was."""
    return f"python {name}.py" if program.endswith(".py") else f"lokitalk {name}"
