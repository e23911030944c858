"""All scores of a clip, gathered frame by frame."""

from collections.abc import Callable

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.evaluation import framing, motion_scores
from lokitalk_jax.evaluation.face_pairs import Detectors, FacePairs
from lokitalk_jax.evaluation.frame_scores import FrameScorer
from lokitalk_jax.evaluation.metrics import (
    aggregate,
    composite,
    expression,
    head,
    mouth,
    sync,
)
from lokitalk_jax.evaluation.metrics.aggregate import Row
from lokitalk_jax.media import image_grid


class ClipScores:
    """Adds up a clip's frames; keeps only their scores and landmarks.

    Attributes:
      frames: numbers of the frames added.
      faces: their faces.
      masks: region masks of the last frame added.
      scorer: of their pictures.
      more: further scores of the whole clip, ready for JSON.
    """

    def __init__(
        self,
        detectors: Detectors,
        vgg: bool = False,
        sound: np.ndarray | None = None,
        true_sound: np.ndarray | None = None,
    ):
        """Starts without frames.

        Args:
          detectors: of faces in truth and prediction; they serve this clip only.
          vgg: adds LPIPS by VGG16, see `FrameScorer`.
          sound: the speech of the prediction, float [S], 16 kHz mono in [-1, 1], from
            frame 0 of the clip on; None without sound.
          true_sound: the speech of the truth, if it differs.
        """
        self.scorer = FrameScorer(vgg)
        self.masks = np.zeros((0, 0, 4), np.float32)
        self._sounds = sound, sound if true_sound is None else true_sound
        self._rows: list[Row] = []
        self.faces = FacePairs(detectors)
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
          number: in the clip; numbers must rise.
          truth: uint8 [H, W, 3].
          prediction: float32 [H, W, 3] in [0, 1], before any video encoding.
          regions: gives the region masks, float32 [H, W, 4], see `FrameScorer`, for the
            landmarks [478, 3] of the true face, NaN if there is none.

        Returns:
          the frame's image scores, see `FrameScorer`.
        """
        face = self.faces.add(truth, image_grid.to_uint8(prediction))
        self.masks = regions(face)
        row = self.scorer(truth / np.float32(255), prediction, self.masks)
        self._rows.append(row)
        self.frames.append(int(number))
        return row

    def rows(self) -> list[Row]:
        """Image and landmark scores of each frame; None if a score does not exist."""
        of = self.faces.truth, self.faces.prediction, np.array(self.frames)
        faces = landmark_rows(*of, self.faces.blendshapes())
        return [row | face for row, face in zip(self._rows, faces, strict=True)]

    def result(self) -> dict:
        """Scores of the clip, ready for JSON.

        Returns:
          means and intervals as in `aggregate.clip_scores`; "motion", see
          `motion_scores.scores`, empty for frames with gaps; "composite" with its
          parts, see the module of that name, which leave out scores of pixels where
          "same_framing" in `more` is false; "sync", the agreement with
          the sound as in `sync.Sync` and that of the truth (keys ending in _truth),
          None without a frame of sound or for frames with gaps; "missed_faces", the
          number of frames with no face in truth or prediction; "frames", their number.
        """
        step = np.diff(self.frames).mean() if len(self.frames) > 1 else 1
        block = max(round(structs.FPS / step), 1)
        rows = self.rows()
        means = aggregate.clip_scores(rows, block)
        truth, prediction = self.faces.truth, self.faces.prediction
        motion, means["intervals"]["motion"] = self._motion(truth, prediction, block)
        seen = np.isfinite(truth).all((1, 2)) & np.isfinite(prediction).all((1, 2))
        keys = self._composite_keys()
        known = _by_path({**means, "motion": motion})
        parts = composite.parts({key: known.get(key) for key in keys})
        drawn = self._resampled(rows, keys, block)
        means["intervals"]["composite"] = composite.interval(drawn, parts)
        return {
            **means,
            "motion": motion,
            "composite": composite.composite(parts),
            "composite_parts": parts,
            "sync": self._sync(truth, prediction),
            **self.more,
            "missed_faces": int(np.count_nonzero(~seen)),
            "frames": len(self.frames),
        }

    def events(self) -> motion_scores.SoundEvents | None:
        """Silence and closures in the prediction's sound; None without sound."""
        frames = range(self.frames[0], self.frames[-1] + 1)
        return motion_scores.sound_events(self._sounds[0], frames)

    def gapless(self) -> bool:
        """Whether the frames follow each other, so that motion can be scored."""
        return self.frames[-1] - self.frames[0] + 1 == len(self.frames)

    def _composite_keys(self) -> list[str]:
        """Scores that make up the composite, without those of another framing."""
        elsewhere = self.more.get("same_framing") is False
        return [
            key for key in composite.KEYS if not (elsewhere and framing.compares(key))
        ]

    def _resampled(
        self, rows: list[Row], keys: list[str], block: int
    ) -> dict[str, np.ndarray]:
        """Scores by path in resamples of the frames; those that exist."""
        drawn = {}
        if self.gapless():
            of = self.faces.truth, self.faces.prediction, self.events(), block
            names = [key.removeprefix("motion.") for key in keys]
            found = motion_scores.resampled(*of, names)
            drawn = {f"motion.{name}": values for name, values in found.items()}
        for key in keys:
            values = aggregate.resampled(rows, key, block) if key in rows[0] else None
            if values is not None:
                drawn[key] = values
        return drawn

    def _motion(
        self, truth: np.ndarray, prediction: np.ndarray, block: int
    ) -> tuple[dict, dict]:
        if not self.gapless():
            return {}, {}
        return motion_scores.scores(truth, prediction, self.events(), block)

    def _sync(self, truth: np.ndarray, prediction: np.ndarray) -> dict | None:
        first, last = self.frames[0], self.frames[-1]
        sound, true_sound = self._sounds
        enough = self.gapless() and len(self.frames) >= sync.MIN_FRAMES
        if sound is None or true_sound is None or not enough:
            return None
        if min(len(sound), len(true_sound)) < sync.MIN_SAMPLES:
            return None
        scores = {}
        for ending, landmarks, speech in (
            ("", prediction, sound),
            ("_truth", truth, true_sound),
        ):
            # From the clip's start, as loudness is relative to the sound before.
            expected = sync.expected_openings(speech, last + 1)[first:]
            found = sync.agreement(mouth.openings(landmarks), expected)
            for key in sync.Sync._fields:
                scores[f"{key}{ending}"] = found and getattr(found, key)
        return scores


def _by_path(scores: dict) -> dict:
    """Nested scores by their path, such as frame.psnr; two levels at most."""
    flat = {}
    for key, value in scores.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": one for name, one in value.items()}
        else:
            flat[key] = value
    return flat


def landmark_rows(
    truth: np.ndarray,
    prediction: np.ndarray,
    frames: np.ndarray,
    shapes: expression.Blendshapes | None = None,
) -> list[Row]:
    """Landmark scores of each frame; None if a face is missing.

    Args:
      truth, prediction: landmarks [F, 478, 3], pixels; NaN in frames without a face.
      frames: [F], their numbers.
      shapes: blendshapes of both; None where there are none.
    """
    distance = mouth.landmark_distance(truth, prediction)
    unknown = np.full(len(truth), np.nan)
    upper, lower = expression.blendshape_errors(shapes) if shapes else (unknown,) * 2
    columns = {
        "lmd_px": distance,
        "lmd_face": distance / mouth.face_widths(truth),
        "eye_ratio_error": expression.eye_ratio_error(truth, prediction),
        "jitter_px": head.jitter(prediction, frames),
        "jitter_truth_px": head.jitter(truth, frames),
        "shape_error": head.shape_error(truth, prediction),
        "opening": mouth.openings(prediction),
        "opening_truth": mouth.openings(truth),
        "blendshapes_upper": upper,
        "blendshapes_lower": lower,
    }
    return [
        {k: float(v[i]) if np.isfinite(v[i]) else None for k, v in columns.items()}
        for i in range(len(truth))
    ]
