"""The soft mask of the person in a frame."""

from typing import Any, Self

import cv2
import numpy as np

from lokitalk_jax.preparation import mediapipe_quirks


class PersonSegmenter:
    """MediaPipe's selfie segmentation; a context manager."""

    def __init__(self):
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        with mediapipe_quirks.quiet(), mediapipe_quirks.old_protobuf():
            self._model = SelfieSegmentation(model_selection=0)
            self._model.process(np.zeros((64, 64, 3), np.uint8))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._model.close()

    def segment(self, rgb: np.ndarray) -> np.ndarray:
        """Soft mask of the largest person.

        Args:
          rgb: uint8 [H, W, 3].

        Returns:
          uint8 [H, W], 255 on the person, soft at hair and edges; 0 on anything that
          is not connected to the largest part.
        """
        with mediapipe_quirks.old_protobuf():
            found: Any = self._model.process(np.ascontiguousarray(rgb))
        soft = found.segmentation_mask
        mask = np.round(soft.clip(0, 1) * 255).astype(np.uint8)
        return np.where(largest_part(mask > 25), mask, 0).astype(np.uint8)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected part of a mask, bool [H, W]."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(stats) == 1:
        return mask
    return parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
