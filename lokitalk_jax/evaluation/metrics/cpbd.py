"""Cumulative probability of blur detection (CPBD): sharpness without a reference.

Narvekar and Karam 2011, IEEE TIP 20(9): the share of edges that are so narrow for their
contrast that viewers notice no blur.
"""

import cv2
import numpy as np

_BLOCK = 64  # pixels; contrast is measured in blocks of this side
_EDGES = 0.002  # blocks with a smaller share of edge pixels are ignored
_LOW_CONTRAST = 50  # grey levels
_NOTICED = {True: 5.0, False: 3.0}  # just noticeable edge width, pixels: low contrast?
_BETA = 3.6
_SHARP = 0.63  # probability of noticing blur at the just noticeable width


def cpbd(frame: np.ndarray) -> float | None:
    """Share of a frame's vertical edges that look sharp.

    Args:
      frame: uint8 RGB [H, W, 3].

    Returns:
      in [0, 1], higher is sharper; None for a frame without edges or with a side below
      64 pixels.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    rows, columns = (side // _BLOCK for side in grey.shape)
    if not (rows and columns):
        return None
    grey = grey[: rows * _BLOCK, : columns * _BLOCK]
    edges = cv2.Canny(grey, 50, 150) > 0
    widths = _edge_widths(grey.astype(np.int16), edges)
    sharp = total = 0
    for row in range(0, rows * _BLOCK, _BLOCK):
        for column in range(0, columns * _BLOCK, _BLOCK):
            block = np.s_[row : row + _BLOCK, column : column + _BLOCK]
            if edges[block].mean() <= _EDGES:
                continue
            noticed = _NOTICED[bool(np.ptp(grey[block]) <= _LOW_CONTRAST)]
            found = widths[block][widths[block] > 0]
            probability = 1 - np.exp(-((found / noticed) ** _BETA))
            sharp += np.count_nonzero(probability <= _SHARP)
            total += len(found)
    return sharp / total if total else None


def _edge_widths(grey: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Width of each edge: how far the grey level rises or falls along its row.

    Returns:
      int [H, W], pixels; 0 where there is no edge or the edge runs along the row.
    """
    step = np.sign(np.diff(grey, axis=1))  # between a pixel and the next
    column = np.arange(step.shape[1])
    turns = np.ones(step.shape, bool)
    turns[:, 1:] = step[:, 1:] != step[:, :-1]
    start = np.maximum.accumulate(np.where(turns, column, 0), axis=1)
    last = np.ones(step.shape, bool)
    last[:, :-1] = turns[:, 1:]
    stop = np.where(last, column + 1, step.shape[1])
    stop = np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1]
    run = np.where(step != 0, stop - start, 0)
    # An edge pixel belongs to the runs before and after it; the longer one crosses it.
    padded = np.pad(run, ((0, 0), (1, 1)))
    return np.where(edges, np.maximum(padded[:, :-1], padded[:, 1:]), 0)
