"""Trains a run: an identity from scratch, a prior, or an adaptation of a prior."""

import argparse
import ast
import logging
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import ml_collections

from lokitalk_jax import config as configs
from lokitalk_jax import progress
from lokitalk_jax.cli import terminal

_LOG = logging.getLogger("lokitalk_jax.train")

_DESCRIPTION = """\
Trains a run; the same command again resumes it.

{program} --config=single_id --workdir=runs/me --config.data.root=data/me
{program} --config=multi_id --workdir=runs/prior --config.data.root=people
{program} --config=adapt --workdir=runs/new --config.data.root=data/new

Every field of the config is a flag, as in --config.train.steps=5000.
"""
_FIELD = "--config."


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk train"
) -> int:
    """Reads the flags and trains; returns the exit status."""
    parser = _parser(program)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    flags, rest = parser.parse_known_args(arguments)
    texts = _texts(rest, parser)
    flags.program, flags.names = program, [*parser.flags(), *_field_flags()]

    def command() -> None:
        from lokitalk_jax import process

        # Before the config, which takes its sizes from the devices; and a cluster must
        # be joined before any device is used.
        process.start()
        config = configs.load(flags.config)
        if flags.fields:
            for field in configs.fields(config):
                print(f"{_FIELD}{field}={configs.get_field(config, field)}")
            return
        given = {field: _value(config, field, text) for field, text in texts.items()}
        _train(flags, config, given)

    return terminal.run(command, flags, "the same command resumes")


def _parser(program: str) -> terminal.Parser:
    parser = terminal.Parser(program, _DESCRIPTION.format(program=program))
    add = parser.add_argument
    add(
        "--config",
        required=True,
        help=f"{', '.join(configs.names())}, or a file of your own; a preset may "
        "follow, as in multi_id:draft or multi_id:full (the default depends on the "
        "config and the device)",
    )
    add("--workdir", type=pathlib.Path, help="folder of the run (default: runs/CONFIG)")
    add("--fields", action="store_true", help="list the config's fields and exit")
    return parser


def _texts(rest: Sequence[str], parser: terminal.Parser) -> dict[str, str]:
    """Values of --config.FIELD=VALUE, --config.FIELD VALUE and --config.SWITCH."""
    texts, ahead = {}, list(rest)
    while ahead:
        argument = ahead.pop(0)
        if not argument.startswith(_FIELD):
            parser.error(f"there is no {argument}")
        field, given, text = argument.removeprefix(_FIELD).partition("=")
        if not given:
            follows = ahead and not ahead[0].startswith("--")
            text = ahead.pop(0) if follows else "True"
        texts[field] = text
    return texts


def _value(config: ml_collections.ConfigDict, field: str, text: str) -> Any:
    """The value of a text, by the type that the field has."""
    before = configs.get_field(config, field)
    if isinstance(before, str):
        return text
    if isinstance(before, bool):
        text = text.capitalize()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ValueError(
            f"{field}={text} must be of type {type(before).__name__}, as {before!r} is"
        ) from None


def _train(
    flags: argparse.Namespace, config: ml_collections.ConfigDict, given: dict[str, Any]
) -> None:
    import jax

    from lokitalk_jax.api import actions

    workdir = flags.workdir or actions.default_workdir(flags.config)
    _LOG.info("run %s, preset %s", workdir, config.preset)
    bar = progress.Bar() if jax.process_index() == 0 else None
    try:
        run = actions.train(config, workdir=workdir, overrides=given, progress=bar)
    finally:
        if bar:
            bar.close()
    if run.config.task == "voice":
        return
    steps = run.config.train.steps
    rest = f" of {steps}, the same command resumes" if run.step < steps else ""
    who = f" --identity={run.identities[0]}" if len(run.identities) > 1 else ""
    _LOG.info(
        "%d steps done%s; render with: %s --workdir=%s%s",
        run.step,
        rest,
        terminal.sibling(flags.program, "render"),
        workdir,
        who,
    )


def _field_flags() -> list[str]:
    """Names of the flags of all fields."""
    from lokitalk_jax import base_config

    config = base_config.get_config("draft_cpu")
    return [f"{_FIELD}{field}".removeprefix("--") for field in configs.fields(config)]
