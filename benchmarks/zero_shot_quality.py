"""How does a prior render an identity that it has not seen, before any training?

    python -m benchmarks.zero_shot_quality --prior=runs/prior --data=data/dev

Every identity in `data` that is not one of the prior's is rendered in its held-out
poses: from the encoder's prediction from eight earlier frames, and from the mean
identity of the prior; is the mean face of that identity, of all in `data`, the one most
like the render? The baseline needs no model: of all training frames of the
prior's identities the one with the nearest pose, over the right background.
"""

import pathlib

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks import held_out_scores, mean_faces, reports
from benchmarks.pose_outlines import distances, outlines
from lokitalk_jax import process
from lokitalk_jax.avatar import zero_shot
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluation import face_pairs
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.held_out import rendered_frames
from lokitalk_jax.media import image_file, image_grid

_SHOWN = 6  # identities in the picture


class TrainingFrames:
    """The training frames of a prior's identities, found by the pose of the head."""

    def __init__(self, prior: OpenRun):
        """Opens all clips."""
        self._frames, found = [], []
        for name in prior.identities:
            record = prior.record(name)
            data = held_out_scores.open_clip(prior, record)
            self._frames += [(data, index) for index in record.train_frames]
            found.append(outlines(data, record.train_frames))
        self._outlines = np.concatenate(found)

    def nearest(self, outline: np.ndarray, plate: np.ndarray) -> np.ndarray:
        """The frame with the nearest pose over another plate, float32 [H, W, 3].

        Args:
          outline: [8, 2], see `outlines`.
          plate: float32 [H, W, 3] in [0, 1].
        """
        data, index = self._frames[np.argmin(distances(outline, self._outlines))]
        rgb, mask, _ = data.frame(index)
        return rgb * mask[..., None] + plate * (1 - mask[..., None])


def measure(
    prior: OpenRun,
    training: TrainingFrames,
    source: folder.IdentityFolder,
    faces: dict[str, np.ndarray],
):
    """Scores of one identity.

    Args:
      prior: the run.
      training: its training frames.
      source: the identity.
      faces: mean faces of all identities that are measured, by name.

    Returns:
      by column (encoder, mean, other), see `ClipScores.result`, and for the first two
      the share of frames whose nearest face is the identity's; and a row of pictures:
      the truth, then the columns.
    """
    starts = {
        s: zero_shot.build_avatar(prior, source.path, s) for s in zero_shot.STARTS
    }
    avatar, data = starts["encoder"]
    frames = held_out_scores.chosen(avatar.record)
    plate = data.plate / np.float32(255)
    pictures, own = {}, {}
    for start, (one, _) in starts.items():
        rendered = list(rendered_frames(one.exact(), frames))
        pictures[start] = [picture for *_, picture in rendered]
        poses = data.tracks.head_to_camera
        seen = (
            mean_faces.face(data, picture, maps.alpha, poses[index])
            for index, maps, picture in rendered
        )
        own[start] = [mean_faces.nearest(face, faces) == source.name for face in seen]
    outline = outlines(data, frames)
    pictures["other"] = [training.nearest(one, plate) for one in outline]
    found = {}
    for column, rendered in pictures.items():
        with face_pairs.open_detectors() as detectors:
            scores = ClipScores(detectors)
            for index, picture in zip(frames.tolist(), rendered, strict=True):
                masks = data.region_masks(index)
                scores.add(
                    index, data.frames[index], picture, lambda _, found=masks: found
                )
            found[column] = scores.result()
        if column in own:
            found[column]["nearest_face_is_own"] = float(np.mean(own[column]))
    middle = len(frames) // 2
    row = [data.frame(frames[middle])[0], *(p[middle] for p in pictures.values())]
    return found, np.concatenate([image_grid.to_uint8(one) for one in row], axis=1)


def table(found: dict[str, dict]) -> str:
    """Markdown: scores of each identity, and their means.

    Args:
      found: by name, the scores of `measure`.
    """
    columns = list(next(iter(found.values())))
    heads = [
        f"{column}: {name}"
        for column in columns
        for name in ("head", "LPIPS", "own face")
    ]
    values = {
        name: [
            score
            for c in columns
            for score in (
                scores[c]["head"]["psnr"],
                scores[c]["frame"]["lpips_alex"],
                scores[c].get("nearest_face_is_own", np.nan),
            )
        ]
        for name, scores in found.items()
    }
    values["mean"] = np.mean(list(values.values()), axis=0).tolist()
    digits = [2, 4, 2] * len(columns)
    rows = [
        [name, *(f"{x:.{n}f}" for x, n in zip(each, digits, strict=True))]
        for name, each in values.items()
    ]
    return reports.markdown(["", *heads], rows)


def main(_) -> None:
    """Measures every identity that the prior was not trained on."""
    prior, out = OpenRun(pathlib.Path(_PRIOR.value)), pathlib.Path(_OUT.value)
    identities = folder.find_identities(_DATA.value)
    unseen = [one for one in identities if one.name not in prior.identities]
    if not unseen:
        raise app.UsageError(
            f"the prior was trained on all identities in {_DATA.value}"
        )
    size = prior.config.data.size
    faces = {one.name: mean_faces.mean_face(Dataset.open(one, size)) for one in unseen}
    training, found, rows = TrainingFrames(prior), {}, []
    for one in tqdm(unseen, "rendering", unit="identity"):
        found[one.name], row = measure(prior, training, one, faces)
        rows.append(row)
    reports.write_json(out / "zero_shot.json", found)
    reports.write(out / "zero_shot.md", table(found))
    image_file.write(out / "zero_shot.png", reports.stacked(rows[:_SHOWN]))


if __name__ == "__main__":
    _PRIOR = flags.DEFINE_string("prior", None, "A run with an identity encoder.")
    _DATA = flags.DEFINE_string("data", None, "Folder of identity folders.")
    _OUT = flags.DEFINE_string("out", "runs/zero_shot", "Scores, table, picture.")
    flags.mark_flags_as_required(["prior", "data"])
    process.start()
    app.run(main)
