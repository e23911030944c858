"""The frames that a clip's score is lowest and highest at, kept as small pictures."""

import heapq
from typing import NamedTuple

import cv2
import numpy as np

KEPT = 3  # of the worst, and of the best


class Picture(NamedTuple):
    """One frame.

    Attributes:
      score: what it was chosen by.
      frame: its number.
      jpeg: truth, render and error side by side.
    """

    score: float
    frame: int
    jpeg: bytes


class Gallery:
    """Keeps the worst and the best of the frames shown to it."""

    def __init__(self):
        """Starts empty."""
        self._worst: list[Picture] = []  # heap of the negated score
        self._best: list[Picture] = []

    def add(self, score: float, frame: int, picture: np.ndarray) -> None:
        """Shows a frame: its score, higher is better, and uint8 RGB [H, W, 3]."""
        done, data = cv2.imencode(".jpg", picture[..., ::-1])
        assert done
        jpeg = data.tobytes()
        for heap, rank in (self._worst, -score), (self._best, score):
            heapq.heappush(heap, Picture(rank, frame, jpeg))
            if len(heap) > KEPT:
                heapq.heappop(heap)

    def worst(self) -> list[Picture]:
        """At most `KEPT`, the worst first."""
        return [p._replace(score=-p.score) for p in sorted(self._worst, reverse=True)]

    def best(self) -> list[Picture]:
        """At most `KEPT`, the best first."""
        return sorted(self._best, reverse=True)
