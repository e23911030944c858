"""Tables of driving signals: CSV files with a row for each frame.

Columns are called lip0, lip1, ..., eye0, eye1, head0, ..., torso0, ... A spreadsheet
may have saved the table, see `data.spreadsheet`, with empty rows at the end.
"""

import csv
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.data import spreadsheet


def columns(region: str, width: int) -> list[str]:
    """Names of the columns of one region with `width` numbers."""
    return [f"{region}{i}" for i in range(width)]


def read(path: str | os.PathLike, region: str, width: int) -> Iterator[np.ndarray]:
    """Signals of one region, frame by frame, to the end of a table.

    Args:
      path: of the table, which may hold other columns too.
      region: of `structs.REGIONS`.
      width: numbers of one frame.

    Returns:
      float32 [width], of each frame.

    Raises:
      ValueError: the file or a column is missing; and, as frames are taken, a row is
        empty, or a value is not a number.
    """
    path, names = pathlib.Path(path), columns(region, width)
    if not path.is_file():
        raise ValueError(f"no such file: {path}; give a table of save_curves")
    table = spreadsheet.read(path)
    missing = [name for name in names if name not in table.header]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}; a table that drives the "
            f"{region} needs {', '.join(names)}, separated by commas, semicolons or "
            "tabs"
        )
    return _signals(path, table, [table.header.index(name) for name in names])


def _signals(
    path: pathlib.Path, table: spreadsheet.Table, places: list[int]
) -> Iterator[np.ndarray]:
    """The numbers in these columns, row by row."""
    for line, row in _without_empty_end(path, table.rows):
        texts = [row[place] if place < len(row) else "" for place in places]
        try:
            numbers = [spreadsheet.number(text, table.separator) for text in texts]
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}; give numbers") from error
        values = np.array(numbers, np.float32)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{path}, line {line}: a value is not finite; give numbers"
            )
        yield values


def _without_empty_end(
    path: pathlib.Path, rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Rows and their line numbers; empty rows may only come last."""
    empty = None
    for line, row in rows:
        if not any(value.strip() for value in row):
            empty = empty or line
        elif empty:
            raise ValueError(f"{path}, line {empty} is empty; delete it, or fill it in")
        else:
            yield line, row


def recorded(
    frames: Iterable[FrameMotion], path: str | os.PathLike
) -> Iterator[FrameMotion]:
    """Passes frames on and writes their signals into a table, after the last one."""
    files.sweep(pathlib.Path(path).absolute().parent)
    with (
        files.replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        for number, frame in enumerate(frames):
            signals = {k: np.ravel(v) for k, v in frame.signals._asdict().items()}
            if number == 0:
                names = [columns(r, len(signals[r])) for r in structs.REGIONS]
                writer.writerow(sum(names, []))
            row = np.concatenate([signals[region] for region in structs.REGIONS])
            writer.writerow([f"{value:.6g}" for value in row])
            yield frame
