"""CSV files as spreadsheets save them.

They may have a byte-order mark, semicolons or tabs, and decimal commas.
"""

import codecs
import contextlib
import csv
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

_SEPARATORS = ",;\t"


class Table(NamedTuple):
    """A table whose rows are read as they are taken.

    Attributes:
      header: names of the columns.
      separator: of cells.
      rows: numbers of lines and their cells, which may be more or fewer than columns.
    """

    header: list[str]
    separator: str
    rows: Iterator[tuple[int, list[str]]]


def read(path: str | os.PathLike) -> Table:
    """Reads the header of a table.

    Raises:
      ValueError: this is no text; `rows` raises it too.
    """
    path = pathlib.Path(path)
    with _named(path), _opened(path) as file:
        line = file.readline()
    separator = max(_SEPARATORS, key=line.count)
    header = [name.strip().strip('"') for name in line.strip().split(separator)]
    return Table(header, separator, _rows(path, separator))


def number(text: str, separator: str) -> float:
    """The number in a cell of a table with this separator.

    Raises:
      ValueError: there is none.
    """
    return float(text if separator == "," else text.replace(",", "."))


def _rows(path: pathlib.Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    with _named(path), _opened(path) as file:
        file.readline()
        reader = csv.reader(file, delimiter=separator)
        for row in reader:
            yield reader.line_num + 1, row


def _opened(path: pathlib.Path):
    with open(path, "rb") as file:
        mark = file.read(2)
    wide = mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return open(path, newline="", encoding="utf-16" if wide else "utf-8-sig")


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    """Gives errors of decoding the path."""
    try:
        yield
    except (UnicodeError, csv.Error) as error:
        raise ValueError(
            f"{path} is no table ({error}); save it as CSV in UTF-8"
        ) from error
