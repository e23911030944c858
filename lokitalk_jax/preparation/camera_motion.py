"""Notices a moving camera, by the flow of the background."""

import cv2
import numpy as np

_SIDE = 320  # longest side of the copies that are compared, pixels
_POINTS = 200
_FEWEST = 20  # points without which nothing is known
_MOVES = 0.004  # shift of the background from sample to sample, of the longest side
_AGREE = 1.5  # pixels from the median shift within which a point agrees with it
_AGREEING = 0.6  # share of the points
_SAMPLES = 4  # pairs of samples without which nothing is reported
_OFTEN = 0.3  # share of the samples
# The person, around the face's box: this many of its widths to either side of head and
# of shoulders, and this share of its height above.
_BESIDE_HEAD, _BESIDE_SHOULDERS, _ABOVE = 0.5, 1.5, 0.6


class CameraMotion:
    """Compares the background of each sample with that of the sample before."""

    def __init__(self):
        """Starts before the first sample."""
        self._previous: tuple[np.ndarray, np.ndarray] | None = None
        self._shifts: list[float] = []

    def add(self, rgb: np.ndarray, box: np.ndarray) -> None:
        """Adds a sample.

        Args:
          rgb: uint8 [H, W, 3].
          box: [4], left, top, right and bottom of the person's face in `rgb`.
        """
        scale = _SIDE / max(rgb.shape[:2])
        size = [round(side * scale) for side in rgb.shape[1::-1]]
        grey = cv2.cvtColor(
            cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        mask = np.full(grey.shape, 255, np.uint8)
        left, top, right, bottom = box * scale
        hair = max(int(top - _ABOVE * (bottom - top)), 0)
        for row, beside in ((hair, _BESIDE_HEAD), (bottom, _BESIDE_SHOULDERS)):
            wide = beside * (right - left)
            columns = slice(max(int(left - wide), 0), max(int(right + wide), 0))
            mask[max(int(row), 0) :, columns] = 0
        if self._previous is not None:
            shift = _shift(*self._previous, grey, mask)
            if shift is not None:
                self._shifts.append(shift / _SIDE)
        self._previous = grey, mask

    def moving(self) -> float | None:
        """The usual shift, of the longest side, where the camera moves; else None."""
        moved = [shift for shift in self._shifts if shift > _MOVES]
        few = len(self._shifts) < _SAMPLES or len(moved) < _OFTEN * len(self._shifts)
        if few or not moved:
            return None
        return float(np.median(moved))


def _shift(
    before: np.ndarray, before_mask: np.ndarray, now: np.ndarray, mask: np.ndarray
) -> float | None:
    """Pixels by which the background moved; None where that is unknown."""
    both = cv2.bitwise_and(before_mask, mask)
    points = cv2.goodFeaturesToTrack(before, _POINTS, 0.01, 5, mask=both)
    if points is None or len(points) < _FEWEST:
        return None
    start = points.copy()
    found, known, _ = cv2.calcOpticalFlowPyrLK(before, now, points, start)
    flow = (found - points)[known.ravel() == 1].reshape(-1, 2)
    if len(flow) < _FEWEST:
        return None
    usual = np.median(flow, axis=0)
    agree = np.linalg.norm(flow - usual, axis=1) < _AGREE
    return float(np.linalg.norm(usual)) if agree.mean() >= _AGREEING else 0.0
