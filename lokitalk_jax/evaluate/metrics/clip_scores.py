"""The scores of a clip, gathered frame by frame."""

from collections.abc import Callable

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluate.metrics import clip_table, face_scores, landmarks, sync
from lokitalk_jax.evaluate.metrics.frame_scores import FrameScorer, Row
from lokitalk_jax.media import image_grid


class ClipScores:
    """Adds frames up; of a frame only its scores and landmarks are kept.

    Attributes:
      frames: numbers of the frames added.
      more: further scores of the whole clip, ready for JSON.
    """

    def __init__(
        self,
        scorer: FrameScorer,
        pairs: landmarks.FacePairs,
        sound: np.ndarray | None = None,
        true_sound: np.ndarray | None = None,
    ):
        """Starts with no frame.

        Args:
          scorer: of single frames; may serve many clips.
          pairs: fresh; finds the faces.
          sound: what the prediction should say, float [S], 16 kHz mono in [-1, 1],
            from frame 0 of the clip on; None where there is none.
          true_sound: what the truth says, where that is something else.
        """
        self._scorer = scorer
        self._pairs = pairs
        self._sounds = sound, sound if true_sound is None else true_sound
        self._rows: list[Row] = []
        self.frames: list[int] = []
        self.more: dict = {}

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
        face = self._pairs.add(truth, image_grid.to_uint8(prediction))
        row = self._scorer(truth / np.float32(255), prediction, regions(face))
        self._rows.append(row)
        self.frames.append(int(number))
        return row

    def rows(self) -> list[Row]:
        """Scores of each frame: see `FrameScorer` and `face_scores.rows`."""
        pairs = self._pairs
        faces = face_scores.rows(
            pairs.truth, pairs.prediction, np.array(self.frames), pairs.blendshapes()
        )
        return [row | face for row, face in zip(self._rows, faces, strict=True)]

    def result(self) -> dict:
        """Scores of the clip, ready for JSON.

        Returns:
          means and intervals as in `clip_table.summary`; "sync", the agreement with the
          sound as in `sync.Sync` and the truth's own (keys that end in _truth), None
          where there is no sound or the frames have gaps; "missed_faces", frames where
          truth or render shows none; "frames".
        """
        step = np.diff(self.frames).mean() if len(self.frames) > 1 else 1
        table = clip_table.summary(self.rows(), max(round(structs.FPS / step), 1))
        both = self._pairs.truth, self._pairs.prediction
        seen = np.logical_and(*(np.isfinite(x).all(axis=(1, 2)) for x in both))
        return {
            **table,
            "sync": self._sync(*both),
            **self.more,
            "missed_faces": int(np.count_nonzero(~seen)),
            "frames": len(self.frames),
        }

    def _sync(self, truth: np.ndarray, prediction: np.ndarray) -> dict | None:
        first, last = self.frames[0], self.frames[-1]
        whole = last - first + 1 == len(self.frames) >= sync.MIN_FRAMES
        if self._sounds[0] is None or not whole:
            return None
        sides = {}
        for ending, side, sound in zip(
            ("", "_truth"), (prediction, truth), self._sounds, strict=True
        ):
            # From the clip's start, as loudness is judged by what was heard before.
            asked = sync.asked_openings(sound, last + 1)[first:]
            sides[ending] = sync.agreement(face_scores.mouth_openings(side), asked)
        return {
            f"{key}{ending}": found and getattr(found, key)
            for ending, found in sides.items()
            for key in sync.Sync._fields
        }
