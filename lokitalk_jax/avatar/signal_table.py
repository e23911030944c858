"""Tables of driving signals: CSV files with a row for each frame.

Columns are called lip0, lip1, ..., eye0, eye1, head0, ..., torso0, ... A spreadsheet
may have saved the table: with a byte-order mark, semicolons or tabs, decimal commas,
and empty rows at the end.
"""

import codecs
import csv
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from lokitalk_jax import files, structs
from lokitalk_jax.avatar.motion import FrameMotion

_SEPARATORS = ",;\t"


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
      ValueError: the file or a column is missing, a row is empty, or a value is not a
        number.
    """
    path, names = pathlib.Path(path), columns(region, width)
    if not path.is_file():
        raise ValueError(f"no such file: {path}; give a table of save_curves")
    with open(path, newline="", encoding=_encoding(path)) as file:
        try:
            header = file.readline()
            separator = max(_SEPARATORS, key=header.count)
            places = _places(header.strip().split(separator), region, names)
            rows = csv.reader(file, delimiter=separator)
            for number, row in _without_empty_end(rows):
                yield _values(row, places, separator, number)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}{error}") from error


def _encoding(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        mark = file.read(2)
    return (
        "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    )


def _places(header: list[str], region: str, names: list[str]) -> list[int]:
    """Columns in which these names are."""
    known = [name.strip().strip('"') for name in header]
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f" has no column {', '.join(missing)}; a table that drives the {region} "
            f"needs {', '.join(names)}, separated by commas, semicolons or tabs"
        )
    return [known.index(name) for name in names]


def _without_empty_end(rows: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows and their line numbers; empty rows may only come last."""
    empty = None
    for number, row in enumerate(rows, 2):
        if not any(value.strip() for value in row):
            empty = empty or number
        elif empty:
            raise ValueError(f", line {empty} is empty; delete it, or fill it in")
        else:
            yield number, row


def _values(
    row: list[str], places: list[int], separator: str, number: int
) -> np.ndarray:
    texts = [row[place] if place < len(row) else "" for place in places]
    if separator != ",":
        texts = [text.replace(",", ".") for text in texts]
    try:
        values = np.array([float(text) for text in texts], np.float32)
    except ValueError as error:
        raise ValueError(f", line {number}: {error}; give numbers") from error
    if not np.isfinite(values).all():
        raise ValueError(f", line {number}: a value is not finite; give numbers")
    return values


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
