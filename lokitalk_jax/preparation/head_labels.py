"""Divides the person of a frame into head and torso."""

from typing import Any

import cv2
import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.preparation import person_mask

_HEIGHT = 192  # GrabCut works at this height; more is slower, hardly better
_ROUNDS = 1  # three change under 2 % of its area


def label_regions(
    rgb: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Divides the person into head and torso.

    GrabCut with seeds from the landmarks, in axes that turn with the head. Certain
    head: the face oval, and the person above the ears. Certain torso: the person from
    0.22 face heights below the chin down, and the neck under the jaw. The rest, strips
    along jaw and neck, is decided by colour and edges. The neck and the tips of long
    hair belong to the torso.

    Args:
      rgb: uint8 [H, W, 3].
      mask: uint8 [H, W], the soft person mask.
      landmarks: [478, 3], pixels.

    Returns:
      uint8 [H, W], of `layout.BACKGROUND`, `TORSO` and `HEAD`.
    """
    height, width = mask.shape
    scale = min(1, _HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    person = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 127
    seeds = _seeds(person, landmarks[:, :2] * scale)

    torso = person & (seeds == cv2.GC_BGD)
    if torso.any() and (seeds == cv2.GC_FGD).any():
        # The background must not look like the head.
        small[~person] = np.median(small[torso], axis=0)
        part = _unknown_part(seeds)
        cv2.setRNGSeed(0)  # the colour clusters start at random
        seeds[part] = cv2.grabCut(
            np.ascontiguousarray(small[part]),
            np.ascontiguousarray(seeds[part]),
            (0, 0, 0, 0),  # the rectangle is not used with a mask
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            _ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )[0]
    head_seen = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    head = _grown(person_mask.largest_part(head_seen & person), person)
    head = cv2.resize(head, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    labels = np.where(head, layout.HEAD, layout.TORSO)
    return np.where(mask > 127, labels, layout.BACKGROUND).astype(np.uint8)


def _grown(head: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The head, grown into the background up to where the torso is nearer.

    The soft mask ends outside the small person; without this, the rim of a head would
    be torso.

    Args:
      head: bool [h, w], a part of the person.
      person: bool [h, w].

    Returns:
      float32 [h, w], 0 or 1.
    """
    if not person.any():
        return head.astype(np.float32)
    found: Any = cv2.distanceTransformWithLabels(
        (~person).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest: np.ndarray = found[1]  # number of the nearest pixel of the person
    of_pixel = np.zeros(nearest.max() + 1, np.float32)
    of_pixel[nearest[person]] = head[person]
    return of_pixel[nearest]


def _unknown_part(seeds: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the unknown pixels with a margin of known pixels."""
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
    aside = np.abs((pixels - ears.mean(0)) @ right)

    oval = np.zeros(person.shape, np.uint8)
    cv2.fillPoly(
        oval, [np.round(points[list(face_mesh.FACE_OVAL)]).astype(np.int32)], 1
    )
    # The neck: the shape of the jaw, moved down the axis of the head. It starts a
    # little below the jaw, whose underside (a beard, say) moves with the head.
    neck = np.zeros(person.shape, np.uint8)
    jaw = points[list(face_mesh.FACE_OVAL[12:25])]  # from ear to ear, over the chin
    jaw = (jaw - jaw.mean(0)) * [0.92, 1] + jaw.mean(0) + 0.04 * face_height * down
    sweep = np.concatenate([jaw, (jaw + down * 0.6 * face_height)[::-1]])
    cv2.fillPoly(neck, [np.round(sweep).astype(np.int32)], 1)

    seeds = np.where(aside < 0.8 * half_width, cv2.GC_PR_BGD, cv2.GC_PR_FGD)
    seeds[neck > 0] = cv2.GC_BGD
    seeds[oval > 0] = cv2.GC_FGD
    seeds[below_ears < 0] = cv2.GC_FGD
    seeds[below_chin > 0.22 * face_height] = cv2.GC_BGD
    seeds[~person] = cv2.GC_BGD
    return seeds.astype(np.uint8)
