"""Makes the demo cast: animated heads to train on."""

import argparse
import pathlib
from collections.abc import Sequence

from lokitalk_jax.cli import terminal

_DESCRIPTION = """\
Makes identity folders of animated heads, whose geometry and motion are known.

{program} --out=data/demo
"""


def main(arguments: Sequence[str] | None = None, program: str = "lokitalk demo") -> int:
    """Reads the flags and makes them; returns the exit status."""
    return terminal.run_task(_make, _parser(program), arguments, program)


def _parser(program: str) -> terminal.Parser:
    parser = terminal.Parser(program, _DESCRIPTION.format(program=program))
    add = parser.add_argument
    add("--out", type=pathlib.Path, required=True, help="folder of the identities")
    add("--identities", type=int, default=4, help="number of heads (default 4)")
    add("--seconds", type=float, default=8.0, help="length of each clip (default 8)")
    add("--size", type=int, default=128, help="height and width, pixels (default 128)")
    return parser


def _make(flags: argparse.Namespace) -> None:
    from lokitalk_jax import demo

    made = demo.make_cast(
        flags.out, identities=flags.identities, seconds=flags.seconds, size=flags.size
    )
    print("\n".join(map(str, made)))
