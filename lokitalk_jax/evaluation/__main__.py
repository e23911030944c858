"""Scores a video of any program against the true one.

python -m lokitalk_jax.evaluation --truth=A.mp4 --pred=B.mp4 --out=scores
"""

import argparse
import pathlib
import sys

from lokitalk_jax import progress
from lokitalk_jax.cli import terminal
from lokitalk_jax.evaluation import pair, results, score


def main(arguments: list[str] | None = None) -> int:
    """Reads the flags and scores; returns the exit status."""
    parser = terminal.Parser("python -m lokitalk_jax.evaluation", __doc__ or "")
    _add_flags(parser)
    flags = parser.parse_args(arguments)
    flags.program, flags.names = "evaluation", parser.flags()
    return terminal.run(lambda: _score(flags), flags)


def _score(flags: argparse.Namespace) -> None:
    options = pair.PairOptions(
        **{name: getattr(flags, name) for name in pair.PairOptions._fields}
    )
    out = flags.out or pair.default_folder(flags.pred, options)
    with progress.Bar() as bar:
        found = pair.evaluate_pair(flags.truth, flags.pred, out, options, bar)
    print("\n".join(results.summary(found)))
    print(f"{out}: open report.html")


def _add_flags(parser: argparse.ArgumentParser) -> None:
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
        choices=score.PROTOCOLS,
        default=pair.UNSTATED,
        help="how the prediction was made: all rendered, or with the true torso",
    )
    add(
        "--signals",
        choices=score.SIGNALS,
        default=pair.UNSTATED,
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


if __name__ == "__main__":
    sys.exit(main())
