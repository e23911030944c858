"""Files that benchmarks write: JSON, Markdown tables, grids of pictures."""

import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lokitalk_jax import files


def markdown(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    cells = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(map(str, row)) + " |\n" for row in cells)


def write(path: pathlib.Path, text: str) -> None:
    """Writes a text file, and the folder that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file."""
    write(path, json.dumps(value, indent=1) + "\n")


def cached(path: pathlib.Path, compute) -> Any:
    """The value of a JSON file; where there is none, computes, prints and writes it."""
    if not path.exists():
        value = compute()
        print(json.dumps(value), flush=True)
        write_json(path, value)
    return json.loads(path.read_text())


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures [H, W, 3] below each other, the narrower ones padded with black."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
    return np.concatenate(padded)
