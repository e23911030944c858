"""Scores a video of any program against the true one.

python -m lokitalk_jax.evaluate --truth=A.mp4 --pred=B.mp4 --out=scores
"""

import argparse
import pathlib
import sys

from lokitalk_jax.evaluate import pair, results
from lokitalk_jax.prepare import faces


def main(arguments: list[str] | None = None) -> None:
    """Reads the flags and scores."""
    flags = _parse(arguments)
    stated = pair.Stated(flags.protocol, flags.signals)
    out = flags.out or flags.pred.with_name(_folder_name(flags.pred, stated))
    try:
        model = faces.find_model(flags.model)
        with (
            faces.FaceDetector(model, blendshapes=True) as one,
            faces.FaceDetector(model, blendshapes=True) as other,
        ):
            found = pair.score_pair(
                flags.truth,
                flags.pred,
                out,
                (one, other),
                flags.labels,
                stated,
                flags.vgg,
                flags.any_lag,
                flags.syncnet,
            )
    except (ValueError, OSError) as error:
        sys.exit(f"evaluate: {error}")
    print("\n".join(results.summary(found)))
    print(f"{out}: open report.html")


def _folder_name(pred: pathlib.Path, stated: pair.Stated) -> str:
    """A name for each way of scoring, so that none takes the place of another."""
    known = [one for one in stated if one != "unstated"]
    return "_".join([pred.stem, "scores", *known])


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lokitalk_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--truth", type=pathlib.Path, required=True, help="video, or folder of frames")
    add("--pred", type=pathlib.Path, required=True, help="likewise, frame by frame")
    add("--out", type=pathlib.Path, help="folder (default: NAME_scores beside --pred)")
    add(
        "--labels",
        type=pathlib.Path,
        help="label images of the truth: an identity folder, a folder of our labels or "
        "of parsing maps; scores head and torso apart",
    )
    add(
        "--protocol",
        choices=("full", "peer"),
        default="unstated",
        help="how the prediction was made: all synthesised, or with the true torso",
    )
    add(
        "--signals",
        choices=("tracked", "audio"),
        default="unstated",
        help="what drove its lips",
    )
    add("--vgg", action="store_true", help="LPIPS by VGG16 too; slow")
    add("--any-lag", action="store_true", help="score it even if it comes late")
    add("--syncnet", type=pathlib.Path, help="syncnet_v2.model, for Sync-C and Sync-D")
    add("--model", help="a FaceLandmarker .task file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
