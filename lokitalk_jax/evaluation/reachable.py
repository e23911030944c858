"""Scores of the true frames after known changes: a scale to read other scores by.

    retracked          landmarks found again after the frame moved by a few pixels: the
                       best that a score of landmarks can be
    recoded            the truth after H.264: the best that an encoded video can be
    one_frame_late     the true frame before
    nearest_training   the training frame that resembles the true frame most
    still_mouth        true landmarks with lips at rest
    shuffled_lips      true landmarks with the lips of half a clip later

Scores of pictures are those of a few frames; rows of landmarks alone have none.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluation import clip_scores, motion_scores
from lokitalk_jax.evaluation.face_pairs import Detectors, FacePairs
from lokitalk_jax.evaluation.frame_scores import FrameScorer
from lokitalk_jax.evaluation.metrics import aggregate, transplant
from lokitalk_jax.evaluation.metrics.aggregate import Row
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.media import recoding

PICTURES = 8  # frames with scores of pictures
FACTOR = 23  # of x264, its default
# Whole pixels, so that nothing is resampled: what differs is the detector's noise.
_DOWN, _RIGHT = 2, 3


class Reachable:
    """Gathers the rows frame by frame, next to `clip_scores.ClipScores`."""

    def __init__(
        self, detectors: Detectors, scorer: FrameScorer, pictures: Collection[int]
    ):
        """Starts without frames.

        Args:
          detectors: of moved and coded frames; they serve this clip only.
          scorer: of pictures.
          pictures: numbers of the frames whose pictures are scored.
        """
        self._faces = FacePairs(detectors)
        self._scorer, self._pictures = scorer, set(pictures)
        self._coder = recoding.Coder(FACTOR)
        self._waiting: list[tuple[int, np.ndarray, np.ndarray | None]] = []
        self._rows: dict[str, list[Row]] = {}
        self._before: np.ndarray | None = None
        self._nearest: list[np.ndarray] = []

    def add(
        self,
        number: int,
        truth: np.ndarray,
        masks: np.ndarray,
        nearest: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Adds a frame.

        Args:
          number: in the clip; numbers must rise.
          truth: uint8 [H, W, 3].
          masks: of its regions, float32 [H, W, 4].
          nearest: picture, uint8 [H, W, 3], and landmarks [478, 3] of the training
            frame that resembles it most; None leaves that row out.
        """
        kept = masks if number in self._pictures else None
        self._waiting.append((number, truth, kept))
        self._add_coded(self._coder.push(truth))
        if self._before is not None:
            self._score("one_frame_late", (truth, self._before), kept)
        self._before = truth
        if nearest is not None:
            self._nearest.append(nearest[1])
            self._score("nearest_training", (truth, nearest[0]), kept)

    def clips(
        self,
        identity: str,
        frames: Sequence[int],
        truth: np.ndarray,
        events: motion_scores.SoundEvents | None,
    ) -> list[Clip]:
        """The rows of a clip.

        Args:
          identity: its name.
          frames: numbers of its frames.
          truth: landmarks [F, 478, 3] of the true frames.
          events: of the sound of these frames, or None.
        """
        self._add_coded(self._coder.finish())
        found = {
            "retracked": self._faces.truth - np.array([_RIGHT, _DOWN, 0], np.float32)
        }
        # Of scattered frames the one before is not a frame late, and coding is another.
        if np.all(np.diff(frames) == 1):
            late = np.concatenate([truth[:1] * np.nan, truth[:-1]])
            found |= {"recoded": self._faces.prediction, "one_frame_late": late}
        if self._nearest:
            found["nearest_training"] = np.stack(self._nearest)
        found["still_mouth"] = transplant.still_mouth(truth)
        found["shuffled_lips"] = transplant.other_lips(truth)
        return [
            Clip(identity, name, self._row(name, frames, truth, one, events), [], [])
            for name, one in found.items()
        ]

    def _row(
        self,
        name: str,
        frames: Sequence[int],
        truth: np.ndarray,
        prediction: np.ndarray,
        events: motion_scores.SoundEvents | None,
    ) -> dict[str, Any]:
        """Scores of one row, as in `ClipScores.result`."""
        numbers = np.array(frames)
        steps = np.diff(numbers)
        block = max(round(structs.FPS / steps.mean()), 1) if len(steps) else 1
        rows = clip_scores.landmark_rows(truth, prediction, numbers)
        scores = aggregate.clip_scores(rows, block)
        if self._rows.get(name):
            pictures = aggregate.clip_scores(self._rows[name], 1)
            scores["intervals"] |= pictures.pop("intervals")
            scores |= pictures
        motion: dict = {}
        if (steps == 1).all():
            motion, scores["intervals"]["motion"] = motion_scores.scores(
                truth, prediction, events, block
            )
        scores |= {"motion": motion, "frames": len(frames)}
        return scores | {"picture_frames": len(self._rows.get(name, []))}

    def _add_coded(self, coded: list[np.ndarray]) -> None:
        for picture in coded:
            _, truth, masks = self._waiting.pop(0)
            self._faces.add(np.roll(truth, (_DOWN, _RIGHT), (0, 1)), picture)
            self._score("recoded", (truth, picture), masks)

    def _score(
        self,
        name: str,
        pair: tuple[np.ndarray, np.ndarray],
        masks: np.ndarray | None,
    ) -> None:
        """Scores truth and picture, uint8 [H, W, 3], of a frame that has masks."""
        if masks is not None:
            truth, picture = (one / np.float32(255) for one in pair)
            row = self._scorer(truth, picture, masks)
            self._rows.setdefault(name, []).append(row)
