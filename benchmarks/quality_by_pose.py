"""How does quality fall with the distance to the training poses?

    python -m benchmarks.quality_by_pose --run=scratch=runs/b --run=prior=runs/b_adapted

Head PSNR of every held-out frame of runs of one identity, in bins of the distance to
the nearest training frame: root mean square over the corners of a box around the face,
in shares of the image's height. Beside them 19 training frames, at no distance: what
the run reaches where it has seen the frame.
"""

import itertools
import pathlib

import numpy as np
from absl import app, flags

from benchmarks import held_out_scores, reports
from benchmarks.held_out_scores import masked_psnr
from benchmarks.pose_outlines import distances, outlines
from lokitalk_jax import process
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data.references import spread
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.structs import REGIONS

_BINS = (1e-6, 0.005, 0.01, 0.02, 0.04)  # of the image's height
_TRAINED = 19  # training frames


def measure(run: OpenRun) -> list[tuple[float, float]]:
    """Pose distance and head PSNR, dB, of frames of a run's identity."""
    avatar = run.avatar(run.named(None))
    record, head = avatar.record, REGIONS.index("head")
    data = held_out_scores.open_clip(run, record)
    known = outlines(data, record.train_frames)
    trained = spread(record.train_frames, _TRAINED)
    frames = np.concatenate([trained, record.test_frames])
    found = [distances(one, known).min() for one in outlines(data, frames)]
    psnr = [
        masked_psnr(data.frame(i)[0], picture, data.region_masks(i)[..., head])
        for i, _, picture in rendered_frames(avatar, frames)
    ]
    return list(zip(map(float, found), psnr, strict=True))


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    """Markdown: mean head PSNR and number of frames of each run in each bin."""
    rows = []
    for low, high in itertools.pairwise((0.0, *_BINS, np.inf)):
        cells = []
        for pairs in found.values():
            inside = [psnr for distance, psnr in pairs if low <= distance < high]
            cells.append(f"{np.mean(inside):.2f} ({len(inside)})" if inside else "-")
        if set(cells) != {"-"}:
            label = f"{100 * low:.1f} to {100 * high:g}%" if high < np.inf else "more"
            label = "training frames" if low == 0 else label
            rows.append([label, *cells])
    return reports.markdown(["pose distance", *found], rows)


def main(_) -> None:
    """Measures the runs."""
    out = pathlib.Path(_OUT.value)
    runs = held_out_scores.named_runs(_RUN.value)
    found = {name: measure(run) for name, run in runs.items()}
    reports.write_json(out / "pose_distance.json", found)
    reports.write(out / "pose_distance.md", table(found))


if __name__ == "__main__":
    _RUN = flags.DEFINE_multi_string("run", None, "NAME=RUN, of one identity.")
    _OUT = flags.DEFINE_string("out", "runs/pose_distance", "Scores and table.")
    flags.mark_flag_as_required("run")
    process.start()
    app.run(main)
