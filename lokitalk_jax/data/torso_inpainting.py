"""The true torso as a backdrop, as peers composite it with a rendered head.

ER-NeRF and similar programs train and score only a head, over the torso of the true
frame and a still background. The head hides a part of the torso; it is extended upwards
from its edge, as in their preparation, so that a head that turns away uncovers cloth
and neck, and not the true frame.
"""

import cv2
import numpy as np

from lokitalk_jax.data import layout

_REACH = 0.1  # height of the extension, in frame heights
# Width of the outline, where torso and background are mixed, in frame heights. A plate
# right beside the labelled torso would be a jagged edge.
_OUTLINE = 1 / 128
_INSET = 2  # pixels below the edge, where the colour is not mixed with the head's


def torso_image(rgb: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The torso of a frame, extended behind the head.

    Args:
      rgb: uint8 [H, W, 3].
      labels: uint8 [H, W], see `layout`.

    Returns:
      uint8 RGBA [H, W, 4], alpha 255 on the torso and its outline, 0 elsewhere.
    """
    torso, head = labels == layout.TORSO, labels == layout.HEAD
    height = labels.shape[0]
    side = 2 * max(round(_OUTLINE * height), 1) + 1
    grown = cv2.dilate(torso.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    torso |= grown & ~head
    reach = max(round(_REACH * height), 1)
    image = np.where(torso[..., None], rgb, 0)
    row = np.arange(height)[:, None]
    # In each column, the first torso pixel directly below the head.
    edge = torso & np.roll(head, 1, axis=0) & (row > 0)
    there = edge.any(axis=0)
    top = np.where(there, edge.argmax(axis=0), height)
    source = np.clip(top + _INSET, 0, height - 1)
    # Not below the torso; a thin strand gives its edge colour.
    column = np.arange(labels.shape[1])
    source = np.where(torso[source, column], source, np.minimum(top, height - 1))
    filled = there & (row < top) & (row >= top - reach) & head
    colour = cv2.blur(image[source, column][None], (5, 1))[0]
    image = np.where(filled[..., None], colour, image)
    alpha = np.where(torso | filled, 255, 0)
    return np.concatenate([image, alpha[..., None]], -1).astype(np.uint8)


def backdrop(rgb: np.ndarray, labels: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """The torso of a frame over a plate, float32 [H, W, 3] in [0, 1].

    Args:
      rgb: uint8 [H, W, 3].
      labels: uint8 [H, W], see `layout`.
      plate: uint8 [H, W, 3].
    """
    torso = torso_image(rgb, labels)
    shown = np.where(torso[..., 3:] > 0, torso[..., :3], plate)
    return shown.astype(np.float32) / 255
