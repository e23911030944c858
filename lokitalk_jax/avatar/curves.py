"""Where each region's motion comes from, frame by frame, without an end.

A curve is an iterator of one frame's values. Lips come from speech or a table, eyes
blink by themselves, the head goes through its own training poses to and fro.
"""

import csv
import pathlib
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import signals
from lokitalk_jax.data.clip_records import ClipRecord

# Blinks of people in conversation: 26 a minute (Bentivoglio et al. 1997), here with
# exponential gaps above a second; a third of a second from open to open, of which
# closing takes about a third (Schiffman 2001).
_BLINKS_A_SECOND, _LEAST_GAP = 26 / 60, 1.0
_BLINK = np.array([0.7, 0.25, 0.0, 0.05, 0.3, 0.6, 0.85, 0.95])

# Frames over which the head's way back is joined to its way there.
_JOIN = 12


def blinking(seed: int) -> Iterator[np.ndarray]:
    """Eye signals [2] of someone who blinks now and then, both eyes at once."""
    rng = np.random.default_rng(seed)
    mean_gap = 1 / _BLINKS_A_SECOND - _LEAST_GAP - len(_BLINK) / structs.FPS
    while True:
        gap = _LEAST_GAP + rng.exponential(mean_gap)
        for _ in range(round(gap * structs.FPS)):
            yield np.ones(2, np.float32)
        for openness in _BLINK:
            yield np.full(2, openness, np.float32)


def own_head(record: ClipRecord) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Head and torso signals of the training frames, there and back for ever.

    Where the direction turns, the motion slows down and comes to rest before it goes
    back, so that neither pose nor speed jumps.
    """
    frames = record.train_frames
    run = slice(int(frames[0]), int(frames[-1]) + 1)
    head, torso = record.signals.head[run], record.signals.torso[run]
    for at in _to_and_fro(len(head)):
        low = int(at)
        high, share = min(low + 1, len(head) - 1), at - low
        yield (
            (1 - share) * head[low] + share * head[high],
            (1 - share) * torso[low] + share * torso[high],
        )


def _to_and_fro(length: int) -> Iterator[float]:
    """Times in [0, length - 1], there and back, with slow turns."""
    join = min(_JOIN, (length - 1) // 2)
    if join < 1:
        while True:
            yield 0.0
    # Half a cosine's ramp of the speed takes twice as long for the same way.
    ramp = np.cumsum((1 - np.cos(np.pi * (np.arange(2 * join) + 0.5) / (2 * join))) / 2)
    middle = np.arange(ramp[-1] + 1, length - 1 - ramp[-1])
    there = np.concatenate([[0.0], ramp, middle, length - 1 - ramp[::-1]])
    while True:
        yield from there
        yield from there[::-1]


def table(path: pathlib.Path, region: str, width: int) -> Iterator[np.ndarray]:
    """One region's columns of a CSV file as `talking.exported` writes it, to its end.

    Args:
      path: with a header; columns are called lip0, lip1, ..., eye0, eye1, head0, ...
      region: lip, eye, head or torso.
      width: numbers of one frame.

    Raises:
      ValueError: the file or a column is missing, or a value is not a number.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    names = [f"{region}{i}" for i in range(width)]
    with open(path, newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in names if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; a file for --{region} has "
                f"the columns {', '.join(names)}, as --export-curves writes them"
            )
        for number, row in enumerate(rows, 2):
            try:
                values = np.array([float(row[name]) for name in names], np.float32)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            if not np.isfinite(values).all():
                raise ValueError(f"{path}, line {number}: a value is not finite")
            yield values


def header(lip_dim: int) -> list[str]:
    """Names of the columns of a table of curves."""
    widths = (lip_dim, 2, 6, 6 * len(structs.TORSO_LAGS))
    return [
        f"{region}{i}"
        for region, width in zip(structs.REGIONS, widths, strict=True)
        for i in range(width)
    ]


def pose(record: ClipRecord, head: np.ndarray) -> np.ndarray:
    """The camera pose [4, 4] of a head signal [6]."""
    relative = signals.vector_to_pose(np.asarray(head, np.float64))
    return (record.rest_pose @ relative).astype(np.float32)
