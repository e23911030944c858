"""The background plate: the background behind a moving person."""

import cv2
import numpy as np

FRAMES = 64  # kept in memory
_SIGHTINGS = 3  # fewer are more likely a hole in a mask than background
_PERSON_FREE = 0.05  # below this mask value a pixel is background
# Distances from the person at which background is looked for, shares of the height of
# the frame. Masks miss hair and blurred edges, so far sightings go before near ones;
# but near ones go before invented colours, which would frame the person.
_DISTANCES = (0.003, 0.008, 0.015)


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
            self._kept.append((rgb.copy(), _clearance(mask)))
            if len(self._kept) > FRAMES:
                self._kept = self._kept[::2]
                self._step *= 2
        self._count += 1

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Takes the median of the visible background and inpaints the rest smoothly.

        Of a pixel's sightings, those furthest from the person count alone.

        Returns:
          uint8 [H, W, 3], and bool [H, W], where the background was visible.

        Raises:
          ValueError: no frame was added.
        """
        if not self._kept:
            raise ValueError("no frame was added; add at least one before `finish`")
        rows = [self._row(row) for row in range(len(self._kept[0][0]))]
        plate, seen = map(np.stack, zip(*rows, strict=True))
        return _fill(plate, seen), seen

    def _row(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Colours [W, 3] of a row, and bool [W], which of them were seen.

        The plate is made row by row to save memory.
        """
        colours = np.stack([rgb[row] for rgb, _ in self._kept], axis=-1)
        clearance = np.stack([far[row] for _, far in self._kept], axis=-1)
        enough = min(_SIGHTINGS, len(self._kept))
        # The largest clearance that enough frames reach.
        reached = np.sort(clearance, axis=-1)[:, -enough]
        free = clearance >= np.maximum(reached, 1)[:, None]
        return _median(colours, free[:, None]), reached > 0


def _clearance(mask: np.ndarray) -> np.ndarray:
    """Uint8 [H, W]: how many of `_DISTANCES` away from the person a pixel is."""
    clear = np.zeros(mask.shape, np.uint8)
    for distance in _DISTANCES:
        reach = 2 * max(1, round(mask.shape[0] * distance)) + 1
        grown = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
        clear += grown < _PERSON_FREE * 255
    return clear


def _median(colours: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Median [W, 3] over the frames of colours [W, 3, F] where free, [W, 1, F]."""
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
