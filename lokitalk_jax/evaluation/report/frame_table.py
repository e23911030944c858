"""The scores of every frame as a CSV file."""

import csv
import pathlib
from collections.abc import Mapping, Sequence

from lokitalk_jax import files
from lokitalk_jax.evaluation.report.clip import Clip


def write(
    path: pathlib.Path, facts: Mapping[str, object], clips: Sequence[Clip]
) -> None:
    """Writes one row for each frame of each clip.

    Args:
      path: the file; replaced only when all is written.
      facts: values that all rows share, such as protocol and size; each is a column.
        A clip's scores may have a value of its own.
      clips: the scored clips.

    Raises:
      OSError: the file could not be written.
    """
    keys = list(
        dict.fromkeys(key for clip in clips for row in clip.rows for key in row)
    )
    with (
        files.replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["identity", "driven_by", *facts, "frame", *keys])
        for clip in clips:
            own = [clip.scores.get(key, value) for key, value in facts.items()]
            for frame, row in zip(clip.frames, clip.rows, strict=True):
                values = (row.get(key) for key in keys)
                cells = ["" if value is None else f"{value:.6g}" for value in values]
                labels = clip.identity, clip.driven_by
                writer.writerow([*labels, *own, frame, *cells])
