"""The background plate: the background behind a moving person."""

import cv2
import numpy as np

FRAMES = 64  # kept in memory
_SIGHTINGS = 3  # fewer are more likely a hole in a mask than background
_PERSON_FREE = 0.05  # below this mask value, after dilation, a pixel is background


class BackgroundPlate:
    """Collects the background of a clip, in the memory of at most 64 frames.

    Frames are kept at even steps: when there are too many, every second frame is
    dropped and the step doubles, so that they span a clip of any length.
    """

    def __init__(self):
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._step = 1
        self._count = 0

    def add(self, rgb: np.ndarray, mask: np.ndarray) -> None:
        """Adds a frame, uint8 [H, W, 3], and its person mask, uint8 [H, W].

        Raises:
          ValueError: the frame has another size than the frames before.
        """
        if self._kept and self._kept[0][0].shape != rgb.shape:
            raise ValueError(
                f"frame {self._count} is {rgb.shape}, the frames before it "
                f"{self._kept[0][0].shape}; give frames of one size"
            )
        if self._count % self._step == 0:
            reach = 2 * max(1, round(mask.shape[0] * 0.015)) + 1
            grown = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
            self._kept.append((rgb.copy(), grown < _PERSON_FREE * 255))
            if len(self._kept) > FRAMES:
                self._kept = self._kept[::2]
                self._step *= 2
        self._count += 1

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Takes the median of the visible background and inpaints the rest smoothly.

        Returns:
          uint8 [H, W, 3], and bool [H, W], where the background was visible.

        Raises:
          ValueError: no frame was added.
        """
        if not self._kept:
            raise ValueError("no frame was added; add at least one before `finish`")
        rows = range(len(self._kept[0][0]))
        plate = np.stack([self._median(row) for row in rows])
        times = np.stack([free for _, free in self._kept]).sum(0)
        seen = times >= min(_SIGHTINGS, len(self._kept))
        return _fill(plate, seen), seen

    def _median(self, row: int) -> np.ndarray:
        """Median [W, 3] of the free pixels of a row; row by row, to save memory."""
        colours = np.stack([rgb[row] for rgb, _ in self._kept], axis=-1)
        free = np.stack([free[row] for _, free in self._kept], axis=-1)[:, None]
        ordered = np.sort(np.where(free, colours, 255), axis=-1)  # 255s go last
        count = free.sum(axis=-1, keepdims=True)
        middle = np.maximum(np.concatenate([count - 1, count], -1) // 2, 0)
        middle = np.broadcast_to(middle, (*ordered.shape[:2], 2))
        middle = np.minimum(middle, ordered.shape[-1] - 1)
        return np.take_along_axis(ordered, middle, -1).mean(-1)


def _fill(plate: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Inpaints from coarser and coarser averages of the visible pixels."""
    weight = seen.astype(np.float32)
    colour = plate.astype(np.float32) * weight[..., None]
    levels = [(colour, weight)]
    while min(levels[-1][1].shape) > 1 and not (levels[-1][1] > 0).all():
        colour, weight = levels[-1]
        size = (weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2
        colour, weight = (
            cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (colour, weight)
        )
        levels.append((colour, weight))
    colour, weight = levels.pop()
    filled = colour / np.maximum(weight, 1e-6)[..., None]
    for colour, weight in reversed(levels):
        size = weight.shape[::-1]
        filled = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        known = np.minimum(weight, 1)[..., None]
        filled = colour / np.maximum(weight, 1)[..., None] + (1 - known) * filled
    filled[seen] = plate[seen]
    return np.round(filled.clip(0, 255)).astype(np.uint8)
