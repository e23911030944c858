"""How does quality fall with the distance to the training poses?

    python -m benchmarks.quality_by_pose --run=scratch=runs/b --run=prior=runs/b_adapted

Head PSNR of every held-out frame of runs of one identity, in bins of the distance to
the nearest training frame: root mean square over the corners of a box around the face,
in shares of the image's height.
"""

import json
import pathlib

import numpy as np
from absl import app, flags

from benchmarks.pose_outlines import distances, outlines
from lokitalk_jax import files, process
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluate.held_out import rendered_frames
from lokitalk_jax.evaluate.metrics.psnr import masked_psnr
from lokitalk_jax.structs import REGIONS

_BINS = (0.005, 0.01, 0.02, 0.04)  # of the image's height


def measure(run: Run) -> list[tuple[float, float]]:
    """Pose distance and head PSNR, dB, of each held-out frame of a run's person."""
    avatar = run.avatar(run.named(None))
    record = avatar.record
    data = Dataset.open(folder.IdentityFolder(record.source), run.config.data.size)
    known = outlines(data, record.train_frames)
    far = [distances(one, known).min() for one in outlines(data, record.test_frames)]
    head = REGIONS.index("head")
    scores = [
        masked_psnr(data.frame(i)[0], picture, data.region_masks(i)[..., head])
        for i, _, picture in rendered_frames(avatar, record.test_frames)
    ]
    return [(float(d), s) for d, s in zip(far, scores, strict=True) if s is not None]


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    """Markdown: mean head PSNR and number of frames of each run in each bin."""
    lines = ["| pose distance | " + " | ".join(found) + " |"]
    lines.append("|---" * (len(found) + 1) + "|")
    edges = (0.0, *_BINS, np.inf)
    for low, high in zip(edges, edges[1:], strict=False):
        cells = []
        for pairs in found.values():
            inside = [s for d, s in pairs if low <= d < high]
            mean = f"{np.mean(inside):.2f} ({len(inside)})" if inside else "-"
            cells.append(mean)
        if set(cells) != {"-"}:
            label = f"{100 * low:g} to {100 * high:g}%" if high < np.inf else "more"
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(_) -> None:
    """Measures the runs."""
    out = pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for text in _RUN.value:
        name, _, workdir = text.partition("=")
        if not (name and workdir):
            raise app.UsageError(f"--run={text}: say NAME=RUN")
        found[name] = measure(Run(pathlib.Path(workdir)))
    with files.replacing(out / "pose_distance.json") as temporary:
        temporary.write_text(json.dumps(found) + "\n")
    with files.replacing(out / "pose_distance.md") as temporary:
        temporary.write_text(table(found))


if __name__ == "__main__":
    _RUN = flags.DEFINE_multi_string("run", None, "NAME=RUN, of one person.")
    _OUT = flags.DEFINE_string("out", "runs/pose_distance", "Figures and table.")
    flags.mark_flag_as_required("run")
    process.start()
    app.run(main)
