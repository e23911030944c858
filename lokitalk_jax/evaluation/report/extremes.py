"""The worst and the best frames of a clip, kept as small pictures."""

import heapq
from typing import NamedTuple

import cv2
import numpy as np

KEPT = 3  # frames of each kind


class Picture(NamedTuple):
    """One frame.

    Attributes:
      score: the score by which frames are ranked.
      frame: its number.
      jpeg: truth, render and error side by side.
    """

    score: float
    frame: int
    jpeg: bytes


class Extremes:
    """Keeps the worst and the best of the frames that are added."""

    def __init__(self):
        """Starts empty."""
        self._worst: list[Picture] = []  # heap of the negated score
        self._best: list[Picture] = []

    def add(self, score: float | None, frame: int, picture: np.ndarray) -> None:
        """Adds a frame.

        Args:
          score: of the frame; higher is better. A frame without one is not kept.
          frame: its number.
          picture: uint8 RGB [H, W, 3].
        """
        if score is None:
            return
        done, data = cv2.imencode(".jpg", picture[..., ::-1])
        assert done
        jpeg = data.tobytes()
        for heap, rank in (self._worst, -score), (self._best, score):
            heapq.heappush(heap, Picture(rank, frame, jpeg))
            if len(heap) > KEPT:
                heapq.heappop(heap)

    def worst(self) -> list[Picture]:
        """At most `KEPT` frames, the worst first."""
        return [p._replace(score=-p.score) for p in sorted(self._worst, reverse=True)]

    def best(self) -> list[Picture]:
        """At most `KEPT` frames, the best first."""
        return sorted(self._best, reverse=True)
