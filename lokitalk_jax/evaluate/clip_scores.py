"""The scores of a clip, gathered frame by frame."""

from collections.abc import Callable

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluate import clip_table, landmarks, sheets
from lokitalk_jax.evaluate.frame_scores import FrameScorer, Row


class ClipScores:
    """Adds frames up; of a frame only its scores and landmarks are kept.

    Attributes:
      frames: numbers of the frames added.
    """

    def __init__(self, scorer: FrameScorer, pairs: landmarks.FacePairs):
        """Starts with no frame.

        Args:
          scorer: of single frames; may serve many clips.
          pairs: fresh; finds the faces.
        """
        self._scorer = scorer
        self._pairs = pairs
        self._rows: list[Row] = []
        self.frames: list[int] = []

    def add(
        self,
        number: int,
        truth: np.ndarray,
        prediction: np.ndarray,
        regions: Callable[[np.ndarray], np.ndarray],
    ) -> Row:
        """Adds a frame.

        Args:
          number: in the clip; they rise.
          truth: uint8 [H, W, 3].
          prediction: float32 [H, W, 3] in [0, 1], before any video encoding.
          regions: gives the masks, float32 [H, W, 4], see `FrameScorer`, for the
            landmarks [478, 3] of the true face, NaN where there is none.

        Returns:
          the frame's scores, see `FrameScorer`.
        """
        face, _ = self._pairs.add(truth, sheets.to_uint8(prediction))
        row = self._scorer(truth / np.float32(255), prediction, regions(face))
        self._rows.append(row)
        self.frames.append(int(number))
        return row

    def rows(self) -> list[Row]:
        """Scores of each frame: see `FrameScorer` and `face_rows`."""
        faces = landmarks.face_rows(self._pairs.truth, self._pairs.prediction)
        return [row | face for row, face in zip(self._rows, faces, strict=True)]

    def result(self) -> dict:
        """Scores of the clip, ready for JSON.

        Returns:
          means and intervals as in `clip_table.summary`, "missed_faces", frames where
          truth or render shows none, and "frames".
        """
        step = np.diff(self.frames).mean() if len(self.frames) > 1 else 1
        table = clip_table.summary(self.rows(), max(round(structs.FPS / step), 1))
        seen = np.isfinite(self._pairs.truth) & np.isfinite(self._pairs.prediction)
        missed = int(np.count_nonzero(~seen.all(axis=(1, 2))))
        return {**table, "missed_faces": missed, "frames": len(self.frames)}
