"""Checks action units and blendshapes in folders of ER-NeRF and SyncTalk."""

import csv
import pathlib
from collections.abc import Iterator

import numpy as np

from lokitalk_jax.data import peer_layout
from lokitalk_jax.doctor.finding import PEER_AGAIN, WARNING, Finding

_BLINKS = "AU45_r"


def examine(path: pathlib.Path, count: int) -> Iterator[Finding]:
    """Checks both files, where they exist, against `count` frames."""
    yield from _action_units(path / peer_layout.ACTION_UNITS, count)
    yield from _blendshapes(path / peer_layout.BLENDSHAPES, count)


def _action_units(table: pathlib.Path, count: int) -> Iterator[Finding]:
    if not table.is_file():
        return
    with open(table, newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = list(csv.reader(file))
    names = [name.strip() for name in rows[0]] if rows else []
    if _BLINKS not in names:
        seen, remedy = f"no column {_BLINKS} (blinks)", "run OpenFace again"
        yield Finding(WARNING, "expressions", table.name, seen, remedy)
    found = max(len(rows) - 1, 0)
    if found != count:
        seen = f"{found} rows for {count} frames"
        remedy = "run OpenFace on the 25 fps video of the frames"
        yield Finding(WARNING, "expressions", table.name, seen, remedy)


def _blendshapes(file: pathlib.Path, count: int) -> Iterator[Finding]:
    if not file.is_file():
        return
    try:
        scores = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        seen = f"cannot be read ({error})"
        yield Finding(WARNING, "expressions", file.name, seen, PEER_AGAIN)
        return
    if scores.shape != (count, 52):
        seen = f"{scores.shape} instead of ({count}, 52)"
        yield Finding(WARNING, "expressions", file.name, seen, PEER_AGAIN)
