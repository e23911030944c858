"""Tables of driving signals: CSV files with a row for each frame.

Columns are called lip0, lip1, ..., eye0, eye1, head0, ..., torso0, ...
"""

import csv
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar.motion import FrameMotion


def columns(region: str, width: int) -> list[str]:
    """Names of the columns of one region with `width` numbers."""
    return [f"{region}{i}" for i in range(width)]


def read(path: str | os.PathLike, region: str, width: int) -> Iterator[np.ndarray]:
    """Signals of one region, frame by frame, to the end of a table.

    Args:
      path: of the table, which may hold other columns too.
      region: of `structs.REGIONS`.
      width: numbers of one frame.

    Yields:
      float32 [width].

    Raises:
      ValueError: the file or a column is missing, or a value is not a number.
    """
    path, names = pathlib.Path(path), columns(region, width)
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = [name for name in names if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; a table that drives the "
                f"{region} needs {', '.join(names)}"
            )
        for number, row in enumerate(rows, 2):
            try:
                values = np.array([float(row[name]) for name in names], np.float32)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            if not np.isfinite(values).all():
                raise ValueError(f"{path}, line {number}: a value is not finite")
            yield values


def recorded(
    frames: Iterable[FrameMotion], path: str | os.PathLike
) -> Iterator[FrameMotion]:
    """Passes frames on and writes their signals into a table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, frame in enumerate(frames):
            signals = {k: np.ravel(v) for k, v in frame.signals._asdict().items()}
            if number == 0:
                names = [columns(r, len(signals[r])) for r in structs.REGIONS]
                writer.writerow(sum(names, []))
            row = np.concatenate([signals[region] for region in structs.REGIONS])
            writer.writerow([f"{value:.6g}" for value in row])
            yield frame
