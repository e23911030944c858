"""Scores a video of any program against the true one."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from lokitalk_jax import progress
from lokitalk_jax.cli import terminal

_DESCRIPTION = """\
Scores a video of any program against the true one.

{program} --truth=true.mp4 --pred=theirs.mp4 --out=scores
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk compare"
) -> int:
    """Reads the flags and scores; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(program)
    flags = terminal.parse_mode("compare", {"compare": parser}, program, arguments)
    return terminal.run(lambda: _compare(flags), flags)


def _compare(flags: argparse.Namespace) -> None:
    # Imported after the flags were read, as JAX takes seconds to load.
    from lokitalk_jax.evaluation import pair

    fields = pair.PairOptions._fields
    options = pair.PairOptions(**{name: getattr(flags, name) for name in fields})
    with progress.Bar() as bar:
        scores = pair.evaluate_pair(
            flags.truth, flags.pred, flags.out, options=options, progress=bar
        )
    print("\n".join(scores.summary()))
    print(f"{scores.folder}: open report.html")


def _parser(program: str) -> terminal.Parser:
    parser = terminal.Parser(program, _DESCRIPTION.format(program=program))
    add = parser.add_argument
    add("--truth", type=pathlib.Path, required=True, help="video or folder of frames")
    add(
        "--pred",
        type=pathlib.Path,
        required=True,
        help="prediction, frame k of which shows true frame k; video or folder",
    )
    add("--out", type=pathlib.Path, help="folder (default: NAME_scores next to --pred)")
    add(
        "--labels",
        type=pathlib.Path,
        help="label images of the true frames: an identity folder, or a folder of "
        "labels or parsing maps; adds scores of head and torso",
    )
    add(
        "--protocol",
        choices=("full", "peer"),
        default="unstated",
        help="how the prediction was made: all rendered, or with the true torso",
    )
    add(
        "--signals",
        choices=("tracked", "audio"),
        default="unstated",
        help="driving signal of its lips",
    )
    add("--vgg", action="store_true", help="adds LPIPS by VGG16; slow")
    add("--any-lag", action="store_true", help="scores it even if it is late or early")
    add(
        "--syncnet",
        type=pathlib.Path,
        help="syncnet_v2.model, for Sync-C and Sync-D",
    )
    add("--face-model", type=pathlib.Path, help="a FaceLandmarker .task file")
    return parser
