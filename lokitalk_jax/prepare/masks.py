"""Who is where in a frame: the person's mask, head and torso, and what is behind."""

import cv2
import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.prepare import faces

LABEL_SIZE = 192  # GrabCut works at this height; more is slower, hardly better
GRABCUT_ROUNDS = 1  # three change under 2 % of its area
PLATE_FRAMES = 64
SIGHTINGS = 3  # fewer are more likely a hole in a mask than background
PERSON_FREE = 0.05  # below this mask value, after dilation, a pixel is background


class PersonSegmenter:
    """MediaPipe's selfie segmentation; a context manager."""

    def __init__(self):
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        with faces.quiet(), faces.old_protobuf():
            self._model = SelfieSegmentation(model_selection=0)
            self._model.process(np.zeros((64, 64, 3), np.uint8))

    def __enter__(self) -> "PersonSegmenter":
        return self

    def __exit__(self, *_) -> None:
        self._model.close()

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """Soft mask of the largest person.

        Args:
          rgb: uint8 [H, W, 3].

        Returns:
          uint8 [H, W], 255 on the person, as soft as the model gave it at hair and
          edges; anything not connected to the largest part is 0.
        """
        with faces.old_protobuf():
            soft = self._model.process(np.ascontiguousarray(rgb)).segmentation_mask
        mask = np.round(soft.clip(0, 1) * 255).astype(np.uint8)
        return np.where(_largest(mask > 25), mask, 0).astype(np.uint8)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected part of a boolean mask."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(stats) == 1:
        return mask
    return parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()


def label_regions(
    rgb: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Parts the person into head and torso.

    GrabCut with seeds from the landmarks, in axes that turn with the head. Surely
    head: the face oval, and the person above the ears. Surely torso: the person from
    0.22 face heights below the chin on, and the neck under the jaw. What is left, the
    strips beside jaw and neck, goes by colour and edges. So the neck belongs to the
    torso, and so do the tips of long hair.

    Args:
      rgb: uint8 [H, W, 3].
      mask: uint8 [H, W], the soft person mask.
      landmarks: [478, 3], pixels.

    Returns:
      uint8 [H, W], of `layout.BACKGROUND`, `TORSO` and `HEAD`.
    """
    height, width = mask.shape
    scale = min(1, LABEL_SIZE / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    person = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 127
    seeds = _seeds(person, landmarks[:, :2] * scale)

    torso = person & (seeds == cv2.GC_BGD)
    if torso.any() and (seeds == cv2.GC_FGD).any():
        # What is behind the person must not look like the head.
        small[~person] = np.median(small[torso], axis=0)
        part = _unknown_part(seeds)
        cv2.setRNGSeed(0)  # the colour clusters start at random
        seeds[part] = cv2.grabCut(
            np.ascontiguousarray(small[part]),
            np.ascontiguousarray(seeds[part]),
            None,
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            GRABCUT_ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )[0]
    head_seen = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    head = _largest(head_seen & person).astype(np.float32)
    head = cv2.resize(head, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    labels = np.where(head, layout.HEAD, layout.TORSO)
    return np.where(mask > 127, labels, layout.BACKGROUND).astype(np.uint8)


def _unknown_part(seeds: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns about the unknown pixels, with known ones around them."""
    unknown = (seeds == cv2.GC_PR_FGD) | (seeds == cv2.GC_PR_BGD)
    slices = []
    for axis in (1, 0):
        found = np.flatnonzero(unknown.any(axis))
        if not len(found):
            return slice(None), slice(None)
        margin = seeds.shape[1 - axis] // 4
        slices.append(slice(max(found[0] - margin, 0), found[-1] + 1 + margin))
    return tuple(slices)


def _seeds(person: np.ndarray, points: np.ndarray) -> np.ndarray:
    """GrabCut's seeds with the head as its foreground."""
    chin, brow = points[152], points[10]
    ears = points[[234, 454]]
    # The axes of the head in the image, in units of the face's height and width.
    down = chin - brow
    face_height = np.linalg.norm(down)
    down = down / max(face_height, 1e-6)
    right = np.array([down[1], -down[0]])
    half_width = max(np.abs((ears[1] - ears[0]) @ right) / 2, 1e-6)
    rows, columns = np.indices(person.shape)
    pixels = np.stack([columns + 0.5, rows + 0.5], 2)
    below_ears = (pixels - ears.mean(0)) @ down
    below_chin = (pixels - chin) @ down
    beside = np.abs((pixels - ears.mean(0)) @ right)

    oval = np.zeros(person.shape, np.uint8)
    cv2.fillPoly(
        oval, [np.round(points[list(face_mesh.FACE_OVAL)]).astype(np.int32)], 1
    )
    # The neck: the jaw's shape moved down the head's axis. It starts a little below
    # the jaw, whose underside, a beard say, moves with the head.
    neck = np.zeros(person.shape, np.uint8)
    jaw = points[
        list(face_mesh.FACE_OVAL[12:25])
    ]  # from angle to angle around the chin
    jaw = (jaw - jaw.mean(0)) * [0.92, 1] + jaw.mean(0) + 0.04 * face_height * down
    sweep = np.concatenate([jaw, (jaw + down * 0.6 * face_height)[::-1]])
    cv2.fillPoly(neck, [np.round(sweep).astype(np.int32)], 1)

    seeds = np.where(beside < 0.8 * half_width, cv2.GC_PR_BGD, cv2.GC_PR_FGD)
    seeds[neck > 0] = cv2.GC_BGD
    seeds[oval > 0] = cv2.GC_FGD
    seeds[below_ears < 0] = cv2.GC_FGD
    seeds[below_chin > 0.22 * face_height] = cv2.GC_BGD
    seeds[~person] = cv2.GC_BGD
    return seeds.astype(np.uint8)


class BackgroundPlate:
    """Gathers what is behind the person, in the memory of at most 64 frames.

    Frames are kept at even steps: when they are too many every other one is
    dropped and the step doubles, so that they span a clip of any length.
    """

    def __init__(self):
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._step = 1
        self._count = 0

    def add(self, rgb: np.ndarray, mask: np.ndarray) -> None:
        """Adds a frame, uint8 [H, W, 3], and its person mask, uint8 [H, W].

        Raises:
          ValueError: the frame's size is not that of the frames before.
        """
        if self._kept and self._kept[0][0].shape != rgb.shape:
            raise ValueError(
                f"frame {self._count} is {rgb.shape}, those before it "
                f"{self._kept[0][0].shape}; a clip has one size"
            )
        if self._count % self._step == 0:
            reach = 2 * max(1, round(mask.shape[0] * 0.015)) + 1
            grown = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
            self._kept.append((rgb.copy(), grown < PERSON_FREE * 255))
            if len(self._kept) > PLATE_FRAMES:
                self._kept = self._kept[::2]
                self._step *= 2
        self._count += 1

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Median of what was seen; the rest is filled in smoothly.

        Returns:
          uint8 [H, W, 3], and bool [H, W], where the background was seen.

        Raises:
          ValueError: no frame was added.
        """
        if not self._kept:
            raise ValueError("no frame was added, so there is no background to find")
        rows = range(len(self._kept[0][0]))
        plate = np.stack([self._median(row) for row in rows])
        times = np.sum([free for _, free in self._kept], axis=0, dtype=np.int32)
        seen = times >= min(SIGHTINGS, len(self._kept))
        return _fill(plate, seen), seen

    def _median(self, row: int) -> np.ndarray:
        """Median [W, 3] of a row where it is free; rows keep the memory small."""
        colours = np.stack([rgb[row] for rgb, _ in self._kept], axis=-1)
        free = np.stack([free[row] for _, free in self._kept], axis=-1)[:, None]
        ordered = np.sort(np.where(free, colours, 255), axis=-1)  # 255s go last
        count = free.sum(axis=-1, keepdims=True)
        middle = np.maximum(np.concatenate([count - 1, count], -1) // 2, 0)
        middle = np.broadcast_to(middle, (*ordered.shape[:2], 2))
        middle = np.minimum(middle, ordered.shape[-1] - 1)
        return np.take_along_axis(ordered, middle, -1).mean(-1)


def _fill(plate: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Fills what was not seen from coarser and coarser averages of what was."""
    weight = seen.astype(np.float32)
    colour = plate.astype(np.float32) * weight[..., None]
    levels = [(colour, weight)]
    while min(levels[-1][1].shape) > 1 and not (levels[-1][1] > 0).all():
        colour, weight = levels[-1]
        size = (weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2
        levels.append(
            tuple(cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in levels[-1])
        )
    colour, weight = levels.pop()
    filled = colour / np.maximum(weight, 1e-6)[..., None]
    for colour, weight in reversed(levels):
        size = weight.shape[::-1]
        filled = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        known = np.minimum(weight, 1)[..., None]
        filled = colour / np.maximum(weight, 1)[..., None] + (1 - known) * filled
    filled[seen] = plate[seen]
    return np.round(filled.clip(0, 255)).astype(np.uint8)
