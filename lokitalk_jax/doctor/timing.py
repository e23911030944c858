"""Whether pictures and tracks show the same moments.

Something moves in every picture of a person, and how much goes up and down with how
much the landmarks move; a head's outline goes where the landmarks go. Shifted against
each other by some frames, neither fits any more, and both fit again at the shift.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.doctor.finding import ERROR, Finding
from lokitalk_jax.prepare import frame_change

_MOST = 8  # frames of shift that are looked for
_LEAST_PAIRS = 120  # neighbouring frames, below which chance finds shifts
_UNKNOWN = -1.0  # stands for a correlation of too few
# A shift is told where it correlates at least so well, and so much better than none. On
# six real clips pictures reach 0.89 to 0.97 unshifted and at most 0.81 next to that;
# outlines 0.45 to 0.90, and up to 0.11 less next to that.
_PICTURES, _OUTLINES, _BETTER = 0.6, 0.4, 0.15


class Timing:
    """Looks at frames and labels in order."""

    def __init__(self, count: int):
        """Starts before the first of `count` frames."""
        self._motion = np.full((count, 1), np.nan)
        self._outline = np.full((count, 2), np.nan)
        self._before: tuple[int, np.ndarray] | None = None

    def add_frame(self, index: int, frame: np.ndarray) -> None:
        """Looks at a picture, uint8 [H, W, 3]."""
        small = frame_change.image_thumbnail(frame)
        if self._before is not None and self._before[0] == index - 1:
            _, moved = frame_change.change(self._before[1], small)
            self._motion[index] = np.log(moved + 0.5)
        self._before = index, small

    def add_labels(self, index: int, labels: np.ndarray) -> None:
        """Looks at a label image, uint8 [H, W]."""
        head = (labels == layout.HEAD).astype(np.float32)
        small = cv2.resize(head, (64, 64), interpolation=cv2.INTER_AREA)
        if small.any():
            y, x = np.mgrid[:64, :64]
            self._outline[index] = np.array([(small * x).sum(), (small * y).sum()])
            self._outline[index] /= small.sum()

    def findings(
        self, landmarks: np.ndarray, valid: np.ndarray, remedy: str
    ) -> Iterator[Finding]:
        """Compares with landmarks [F, points, 2 or 3] of frames that have a face."""
        points = np.where(valid[:, None, None], landmarks[..., :2], np.nan)
        moved = np.diff(points, axis=0, prepend=np.nan)
        speed = np.log(np.linalg.norm(moved, axis=-1).mean(-1)[:, None] + 0.05)
        outline = np.diff(self._outline, axis=0, prepend=np.nan)
        for where, seen, told, least in (
            (layout.FRAMES, self._motion, speed, _PICTURES),
            (layout.LABELS, outline, moved.mean(1), _OUTLINES),
        ):
            late = shift(seen, told, least)
            if late:
                unit = "frame" if abs(late) == 1 else "frames"
                seen = f"they fit the tracks of {abs(late)} {unit} "
                seen += "before" if late > 0 else "after"
                yield Finding(ERROR, "shifted", where, seen, remedy)


def shift(seen: np.ndarray, told: np.ndarray, least: float) -> int:
    """Frames by which `seen` comes later than `told`.

    Args:
      seen, told: [F, channels] that go together; NaN where unknown.
      least: correlation that a shift must have.

    Returns:
      0 where no shift fits clearly better, or there is too little to compare.
    """
    fits = {by: _correlation(seen, told, by) for by in range(-_MOST, _MOST + 1)}
    best = max(fits, key=fits.get)
    if fits[0] == _UNKNOWN:
        return 0
    return best if fits[best] >= max(least, fits[0] + _BETTER) else 0


def _correlation(seen: np.ndarray, told: np.ndarray, by: int) -> float:
    count = len(seen) - abs(by)
    if count < 1:
        return _UNKNOWN
    one, other = seen[max(by, 0) :][:count], told[max(-by, 0) :][:count]
    both = np.isfinite(one).all(1) & np.isfinite(other).all(1)
    if both.sum() < _LEAST_PAIRS:
        return _UNKNOWN
    one, other = (x[both] - x[both].mean(0) for x in (one, other))
    return float(
        (one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9)
    )
