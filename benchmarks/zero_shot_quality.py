"""How does a prior render an identity that it has not seen, before any training?

    python -m benchmarks.zero_shot_quality --prior=runs/prior --data=data/dev

Every identity in `data` that is not one of the prior's is rendered in its held-out
poses: from the encoder's prediction from eight earlier frames, and from the mean
identity of the prior. The baseline needs no model: of all training frames of the
prior's identities the one with the nearest pose, over the right background.
"""

import json
import pathlib

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.pose_outlines import distances, outlines
from lokitalk_jax import files, process
from lokitalk_jax.avatar import zero_shot
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.data import folder, references
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluate import face_pairs
from lokitalk_jax.evaluate.clip_scores import ClipScores
from lokitalk_jax.evaluate.held_out import rendered_frames
from lokitalk_jax.evaluate.score import add_frame
from lokitalk_jax.media import image_file, image_grid

_TEST_FRAMES = 12  # of each clip, evenly spread over the held-out ones
_SHOWN = 6  # people in the picture


class Crowd:
    """The training frames of a prior's people, to be found by the head's pose."""

    def __init__(self, prior: Run):
        """Opens everyone's clip."""
        self._clips, self._frames, found = [], [], []
        for name in prior.identities:
            record = prior.record(name)
            source = folder.IdentityFolder(record.source)
            data = Dataset.open(source, prior.config.data.size)
            self._clips += [data] * len(record.train_frames)
            self._frames += list(record.train_frames)
            found.append(outlines(data, record.train_frames))
        self._outlines = np.concatenate(found)

    def nearest(self, outline: np.ndarray, plate: np.ndarray) -> np.ndarray:
        """The frame with the nearest pose, float32 [H, W, 3], before another plate.

        Args:
          outline: [8, 2], see `outlines`.
          plate: float32 [H, W, 3] in [0, 1].
        """
        at = int(np.argmin(distances(outline, self._outlines)))
        rgb, mask, _ = self._clips[at].frame(self._frames[at])
        return rgb * mask[..., None] + plate * (1 - mask[..., None])


def measure(prior: Run, crowd: Crowd, source: pathlib.Path):
    """Scores of one person.

    Returns:
      by column (encoder, mean, other), see `clip_scores.ClipScores`; and a row of
      pictures: the truth, then the columns.
    """
    people = {s: zero_shot.build_avatar(prior, source, s) for s in zero_shot.STARTS}
    avatar, data = people["encoder"]
    frames = references.spread(avatar.record.test_frames, _TEST_FRAMES)
    plate = data.plate / np.float32(255)
    pictures = {
        start: [picture for *_, picture in rendered_frames(avatar, frames)]
        for start, (avatar, _) in people.items()
    }
    pictures["other"] = [crowd.nearest(one, plate) for one in outlines(data, frames)]
    found = {}
    for column, rendered in pictures.items():
        with face_pairs.open_detectors() as detectors:
            scores = ClipScores(detectors)
            for index, picture in zip(frames, rendered, strict=True):
                add_frame(scores, data, int(index), picture)
            found[column] = scores.result()
    middle = len(frames) // 2
    row = [data.frame(frames[middle])[0], *(p[middle] for p in pictures.values())]
    return found, np.concatenate([image_grid.to_uint8(one) for one in row], axis=1)


def table(found: dict[str, dict]) -> str:
    """Markdown: head PSNR and LPIPS of everyone, and the means.

    Args:
      found: by name, what `measure` gives.
    """
    columns = list(next(iter(found.values())))
    lines = ["| | " + " | ".join(f"{c}: head | LPIPS" for c in columns) + " |"]
    lines.append("|---" * (2 * len(columns) + 1) + "|")
    values = {
        name: [
            (scores[c]["head"]["psnr"], scores[c]["frame"]["lpips_alex"])
            for c in columns
        ]
        for name, scores in found.items()
    }
    values["mean"] = np.mean(list(values.values()), axis=0)
    for name, pairs in values.items():
        cells = [f"{head:.2f} | {lpips:.4f}" for head, lpips in pairs]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(_) -> None:
    """Measures everyone whom the prior has not seen."""
    prior, out = Run(pathlib.Path(_PRIOR.value)), pathlib.Path(_OUT.value)
    everyone = folder.find_identities(_DATA.value)
    unseen = [one for one in everyone if one.name not in prior.identities]
    if not unseen:
        raise app.UsageError(f"the prior was trained on everyone in {_DATA.value}")
    out.mkdir(parents=True, exist_ok=True)
    crowd, found, rows = Crowd(prior), {}, []
    for one in tqdm(unseen, "rendering", unit="person"):
        found[one.name], row = measure(prior, crowd, one.path)
        rows.append(row)
    with files.replacing(out / "zero_shot.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n")
    with files.replacing(out / "zero_shot.md") as temporary:
        temporary.write_text(table(found))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows[:_SHOWN]]
    image_file.write(out / "zero_shot.png", np.concatenate(rows))


if __name__ == "__main__":
    _PRIOR = flags.DEFINE_string("prior", None, "A run with an identity encoder.")
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/zero_shot", "Figures, table, picture.")
    flags.mark_flags_as_required(["prior", "data"])
    process.start()
    app.run(main)
