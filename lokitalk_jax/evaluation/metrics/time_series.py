"""Measurements of a clip's frames as signals in time."""

import numpy as np


def filled(values: np.ndarray) -> np.ndarray:
    """Values [F, ...] with those of frames without a face interpolated.

    NaN everywhere if no frame has a face.
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    there = np.isfinite(flat).all(1)
    if there.all() or not there.any():
        return flat.reshape(values.shape)
    at = np.arange(len(flat))
    columns = [np.interp(at, at[there], column[there]) for column in flat.T]
    return np.stack(columns, -1).reshape(values.shape)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Moving average of values [F, ...] over `width` frames, an odd number."""
    flat = values.reshape(len(values), -1)
    padded = np.pad(flat, ((width // 2, width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return ((sums[width:] - sums[:-width]) / width).reshape(values.shape)


def fast(values: np.ndarray, width: int) -> np.ndarray:
    """Values [F, ...] less their moving average over `width` frames."""
    return values - smooth(values, width)


def spans(inside: np.ndarray) -> list[range]:
    """Stretches of frames in which bool [F] is true."""
    edges = np.flatnonzero(np.diff(np.r_[False, inside, False].astype(int)))
    return [range(a, b) for a, b in edges.reshape(-1, 2)]


def reach(values: np.ndarray, width: int) -> np.ndarray:
    """Highest less lowest value within `width` frames around each frame, [F]."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.ptp(np.lib.stride_tricks.sliding_window_view(padded, width), axis=-1)
