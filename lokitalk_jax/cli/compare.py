"""Scores videos of any programs against the true ones."""

import argparse
import pathlib
from collections.abc import Sequence

from lokitalk_jax import progress
from lokitalk_jax.cli import terminal

_DESCRIPTION = """\
Scores videos of any programs against the true ones.

{program} --truth=true.mp4 --pred=theirs.mp4 --out=scores
{program} --truth=clips --pred=ours --pred=theirs --out=scores
{program} --truth=strip.mp4 --panels=3 --systems=ours,theirs --out=scores
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk compare"
) -> int:
    """Reads the flags and scores; returns the exit status."""
    return terminal.run_task(_compare, _parser(program), arguments, program)


def _compare(flags: argparse.Namespace) -> None:
    # Imported after the flags were read, as JAX takes seconds to load.
    from lokitalk_jax.evaluation import pair, systems

    names = [name.strip() for name in (flags.systems or "").split(",") if name.strip()]
    _check(flags, names)
    fields = pair.PairOptions._fields
    options = pair.PairOptions(**{name: getattr(flags, name) for name in fields})
    first = flags.pred[0] if flags.pred else flags.truth
    out = flags.out or first.with_name(f"{first.stem}_scores")
    with progress.Bar() as bar:
        more = {"options": options, "progress": bar}
        if flags.panels is not None:
            names = names or [f"panel {k}" for k in range(2, flags.panels + 1)]
            scores = systems.evaluate_panels(flags.truth, names, out, **more)
        elif len(flags.pred) > 1 or names or _hold_clips(flags.truth, *flags.pred):
            names = names or _names(flags.pred)
            preds = dict(zip(names, flags.pred, strict=True))
            scores = systems.evaluate_systems(flags.truth, preds, out, **more)
        else:
            scores = pair.evaluate_pair(flags.truth, first, flags.out, **more)
    print("\n".join(scores.summary()))
    print(f"{scores.folder}: open report.html")


def _check(flags: argparse.Namespace, names: Sequence[str]) -> None:
    """Refuses flags that do not go together."""
    if (flags.panels is None) == (not flags.pred):
        raise ValueError(
            "give --pred=PATH for each program, or --panels=COUNT for videos that show "
            "the truth and the results in a row"
        )
    if flags.panels is not None and flags.panels < 2:
        raise ValueError(
            f"panels={flags.panels} must be at least 2: the truth and a result"
        )
    twice = {str(path) for path in flags.pred if flags.pred.count(path) > 1}
    if twice:
        raise ValueError(
            f"pred={', '.join(sorted(twice))} is given twice; give each program once"
        )
    wanted = len(flags.pred) if flags.panels is None else flags.panels - 1
    if names and len(names) != wanted:
        raise ValueError(
            f"systems={flags.systems} names {len(names)} programs; name each of the "
            f"{wanted}"
        )
    if len(set(names)) < len(names):
        raise ValueError(
            f"systems={flags.systems} names a program twice; give each its own name"
        )


def _hold_clips(*paths: pathlib.Path) -> bool:
    """Whether one of the paths is a folder of clips."""
    from lokitalk_jax.evaluation import systems

    return any(
        path.is_dir() and path not in systems.clips_in(path).values() for path in paths
    )


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
    """Names of the programs: of files, else of folders, else whole paths."""
    for names in [path.stem for path in paths], [path.parent.name for path in paths]:
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _parser(program: str) -> terminal.Parser:
    parser = terminal.Parser(program, _DESCRIPTION.format(program=program))
    add = parser.add_argument
    add(
        "--truth",
        type=pathlib.Path,
        required=True,
        help="video, folder of frames, or folder of clips",
    )
    add(
        "--pred",
        type=pathlib.Path,
        action="append",
        default=[],
        help="prediction; its frame k shows true frame k: a video or folder of "
        "frames; or, with a folder of clips as --truth, a folder of predictions with "
        "the names of the clips; again for each further program",
    )
    add(
        "--panels",
        type=int,
        help="instead of --pred: number of pictures that --truth shows in a row, the "
        "truth first; --truth is a video, or a folder of them",
    )
    add(
        "--systems",
        help="names of the programs, with commas, in the order of --pred or panels",
    )
    add("--out", type=pathlib.Path, help="folder (default: NAME_scores next to --pred)")
    add(
        "--align",
        action="store_true",
        help="cut both to the moments that both show, scale the prediction to the "
        "truth's size, and write down how",
    )
    add("--recode", help="crf23 or the like: code both by H.264 first")
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
