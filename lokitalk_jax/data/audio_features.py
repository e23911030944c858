"""Speech features of other programs, recognised by their shape.

DeepSpeech [F, 16, 29], wav2vec [F, 16, 44], HuBERT [F, 2, 1024] and AVE [F, 512, 1] as
ER-NeRF and SyncTalk store them, one window for each frame; or plain rows [F, D] or
[2 F, D], 25 or 50 a second.
"""

import pathlib

import numpy as np

from lokitalk_jax.data import layout

# Name by length of a row.
KINDS = {29: "DeepSpeech", 44: "wav2vec", 1024: "HuBERT", 512: "AVE"}

# Frames by which the length may differ, since programs round differently.
_SHORT = 2
REMEDY = "make the features again with the program of their kind, 25 or 50 a second"


def _width(shape: tuple[int, ...]) -> int:
    """Length of a row of features of a shape; 0 if the kind is unknown."""
    # The last axis of AVE features has length 1.
    last = shape[-2:-1] if len(shape) == 3 and shape[-1] == 1 else shape[-1:]
    return last[0] if last and last[0] in KINDS else 0


def read(path: pathlib.Path, frames: int) -> np.ndarray:
    """Rows of the features of a clip of `frames` frames, [2 * frames, D], see `load`.

    Raises:
      ValueError: the features cannot be used; names the file.
    """
    try:
        return load(path, frames)[1]
    except layout.Fault as fault:
        raise ValueError(f"{path}: {fault}; {REMEDY}") from fault


def load(path: pathlib.Path, frames: int) -> tuple[str, np.ndarray]:
    """Loads the features of a clip of `frames` frames.

    Returns:
      their kind, and float32 [2 * frames, D], 50 rows a second, each number with mean 0
      and standard deviation 1 over the clip; the last row is repeated where rows are
      missing.

    Raises:
      Fault: there is no such file, it is of no known kind, is not finite, or is of
        another length.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise layout.Fault("features_missing", "there is no such file") from error
    except (ValueError, OSError, EOFError) as error:
        seen = f"cannot be read ({error})"
        raise layout.Fault("features_unreadable", seen) from error
    size = _width(found.shape)
    if not size or found.ndim not in (2, 3):
        known = ", ".join(f"{number} {name}" for number, name in KINDS.items())
        seen = f"{found.dtype} {found.shape} is no known kind of audio features; known "
        raise layout.Fault("features_kind", f"{seen}are rows of {known} numbers")
    if not (np.issubdtype(found.dtype, np.floating) and np.isfinite(found).all()):
        raise layout.Fault("features_nan", f"{found.dtype}, not all finite numbers")
    rows, rate = _rows(found.astype(np.float32), frames)
    if not len(rows) or abs(frames * rate - len(rows)) > _SHORT * rate:
        seen = f"{len(found)} rows or windows for {frames} frames"
        raise layout.Fault("features_length", seen)
    rows = rows[np.minimum(np.arange(frames * rate), len(rows) - 1)]
    rows = (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-4)
    return KINDS[size], rows.repeat(2 // rate, axis=0)


def _rows(found: np.ndarray, frames: int) -> tuple[np.ndarray, int]:
    """Features, rows or windows, as plain rows, and the number of rows of a frame."""
    if found.ndim == 2:
        return found, 2 if len(found) > 1.5 * frames else 1
    if found.shape[-1] == 1:
        return found[..., 0], 1
    # The two rows in the middle of a window belong to the frame.
    middle = (found.shape[1] - 1) // 2
    rows = found[:, middle : middle + 2]
    return rows.reshape(-1, found.shape[-1]), rows.shape[1]
