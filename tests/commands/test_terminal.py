import errno

import pytest

from lokitalk_jax.cli import main, terminal

FLAGS = ["max-frames", "lip", "maps", "no-audio", "config.train.steps", "config.prior"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("max_frames=0 must be 1", "--max-frames=0 must be 1"),
        ("lip='a b' is not there", "--lip=a b is not there"),
        ("train.steps=0; raise it", "--config.train.steps=0; raise it"),
        ("give prior=RUN, or not", "give --config.prior=RUN, or not"),
        ("pass audio=False", "pass --no-audio"),
        ("leave out maps=True", "leave out --maps"),
        ("train with config=adapt", "train with --config=adapt"),
        ("frames=3:4 are gone", "frames=3:4 are gone"),
        ("runs/lip=x/y is no run", "runs/lip=x/y is no run"),
        ("lip: x.csv", "lip: x.csv"),
    ],
)
def test_parameters_in_errors_become_flags(message, shown):
    assert terminal.as_flags(message, FLAGS) == shown


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("lip=x is gone"), 1, "x: --lip=x is gone"),
        (FloatingPointError("not finite"), 1, "x: not finite"),
        (OSError(errno.ENOSPC, "full"), 1, "the disk is full"),
        (FileNotFoundError("no such file"), 1, "x: no such file"),
        (FileExistsError(17, "exists", "a/f"), 1, "x: a/f cannot be a folder"),
        (NotADirectoryError(20, "not", "f/b"), 1, "x: f/b cannot be a folder"),
        (KeyboardInterrupt(), 130, "x: interrupted"),
    ],
)
def test_errors_end_in_one_line_and_a_status(error, status, words, capsys):
    parser = terminal.Parser("x", "does nothing")
    parser.add_argument("--lip")
    flags = terminal.parse_mode("x", {"x": parser}, "x", [])

    def command():
        raise error

    assert terminal.run(command, flags) == status
    written = capsys.readouterr().err
    assert words in written and len(written.splitlines()) <= 2


def test_a_mistake_of_the_program_keeps_its_traceback():
    parser = terminal.Parser("x", "does nothing")
    flags = terminal.parse_mode("x", {"x": parser}, "x", [])
    with pytest.raises(ZeroDivisionError):
        terminal.run(lambda: 1 // 0, flags)


@pytest.mark.parametrize("name", ["prepare", "train", "reenact", "compare", "render"])
def test_every_command_has_its_help(name, capsys):
    try:
        status = main.main([name, "--help"])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 0
    assert f"lokitalk {name}" in capsys.readouterr().out


def test_unknown_commands_are_refused(capsys):
    assert main.main(["rendre"]) == 2
    assert "no command 'rendre'" in capsys.readouterr().err
    assert main.main([]) == 2
    assert main.main(["--help"]) == 0
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].count(".") == 2
