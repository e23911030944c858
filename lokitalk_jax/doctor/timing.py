"""Checks whether images and tracks belong to the same moments.

The change from frame to frame rises and falls with the motion of the landmarks, and the
outline of the head follows the landmarks. If images are shifted against tracks by some
frames, neither correlates any more, and both correlate at that shift.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.doctor.finding import ERROR, Finding
from lokitalk_jax.preparation import frame_change

_MOST = 8  # frames, the largest shift
_LEAST_PAIRS = 120  # neighbouring frames; with fewer, chance finds shifts
_UNKNOWN = -1.0  # correlation of too few frames
# A shift is reported if its correlation is at least this, and this much better than
# without a shift. On six real clips frames reach 0.89 to 0.97 without a shift and at
# most 0.81 one frame off; outlines 0.45 to 0.90, and up to 0.11 less one frame off.
_FRAMES, _OUTLINES, _BETTER = 0.6, 0.4, 0.15


class Timing:
    """Collects the motion in frames and labels, added in order."""

    def __init__(self, count: int):
        """Starts before the first of `count` frames."""
        self._change = np.full((count, 1), np.nan)
        self._outline = np.full((count, 2), np.nan)
        self._before: tuple[int, np.ndarray] | None = None

    def add_frame(self, index: int, frame: np.ndarray) -> None:
        """Adds a frame, uint8 [H, W, 3]."""
        thumbnail = frame_change.image_thumbnail(frame)
        if self._before is not None and self._before[0] == index - 1:
            _, change = frame_change.change(self._before[1], thumbnail)
            self._change[index] = np.log(change + 0.5)
        self._before = index, thumbnail

    def add_labels(self, index: int, labels: np.ndarray) -> None:
        """Adds a label image, uint8 [H, W]."""
        head = (labels == layout.HEAD).astype(np.float32)
        small = cv2.resize(head, (64, 64), interpolation=cv2.INTER_AREA)
        if small.any():
            y, x = np.mgrid[:64, :64]
            self._outline[index] = np.array([(small * x).sum(), (small * y).sum()])
            self._outline[index] /= small.sum()

    def findings(
        self, landmarks: np.ndarray, valid: np.ndarray, remedy: str
    ) -> Iterator[Finding]:
        """Compares with landmarks [F, P, 2 or 3] of frames with a face, bool [F]."""
        points = np.where(valid[:, None, None], landmarks[..., :2], np.nan)
        motion = np.diff(points, axis=0, prepend=np.nan)
        speed = np.log(np.linalg.norm(motion, axis=-1).mean(-1)[:, None] + 0.05)
        outline = np.diff(self._outline, axis=0, prepend=np.nan)
        for where, in_images, in_tracks, least in (
            (layout.FRAMES, self._change, speed, _FRAMES),
            (layout.LABELS, outline, motion.mean(1), _OUTLINES),
        ):
            late = shift(in_images, in_tracks, least)
            if late:
                unit = "frame" if abs(late) == 1 else "frames"
                seen = f"they fit the tracks of {abs(late)} {unit} "
                seen += "before" if late > 0 else "after"
                yield Finding(ERROR, "shifted", where, seen, remedy)


def shift(in_images: np.ndarray, in_tracks: np.ndarray, least: float) -> int:
    """Frames by which motion in images is later than motion in tracks.

    Args:
      in_images, in_tracks: [F, channels], corresponding motion; NaN where unknown.
      least: smallest correlation of a shift.

    Returns:
      0 where no shift is clearly better, or too few frames are known.
    """
    shifts = range(-_MOST, _MOST + 1)
    fits = {by: _correlation(in_images, in_tracks, by) for by in shifts}
    best = max(fits, key=lambda by: fits[by])
    if fits[0] == _UNKNOWN:
        return 0
    return best if fits[best] >= max(least, fits[0] + _BETTER) else 0


def _correlation(in_images: np.ndarray, in_tracks: np.ndarray, by: int) -> float:
    count = len(in_images) - abs(by)
    if count < 1:
        return _UNKNOWN
    one, other = in_images[max(by, 0) :][:count], in_tracks[max(-by, 0) :][:count]
    both = np.isfinite(one).all(1) & np.isfinite(other).all(1)
    if both.sum() < _LEAST_PAIRS:
        return _UNKNOWN
    one, other = (x[both] - x[both].mean(0) for x in (one, other))
    return float(
        (one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9)
    )
