"""Which detected face of each frame is the person's: continuity, and likeness.

Faces that continue each other from frame to frame are a run. The longest run is the
person; a shorter one is too where it is of a similar size, in a similar place, and
looks alike: in the shape of its rigid points and in the colours of its skin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import face_mesh

# Points of forehead, cheeks and nose whose colours are compared.
_SKIN = (10, 151, 9, 67, 297, 50, 280, 205, 425, 117, 346, 4, 197, 199)
_RIGID = list(face_mesh.RIGID)
_STEP = 0.35  # widths that a face may move from one frame to the next
_GROWTH = 1.25  # factor of its size, likewise
_COLOUR_STEP = 10.0  # mean distance in CIE Lab, likewise
_AWAY = 1.2  # widths from its usual places at which a face may appear again
_SIZES = 1.4  # factor of its usual size, likewise
# Deviations from the person's median face, relative to the 99th percentile of the
# person's own; the least that counts as the person's own. Of six people under other
# lights each, colours lie 1.4 to 9 times as far apart, shapes 0.5 to 4 times.
_UNLIKE = 1.3
_LEAST_COLOUR = 6.0
_LEAST_SHAPE = 0.045
_COMPARED = 400  # faces of the person, spread over the clip


class Candidate(NamedTuple):
    """A detected face.

    Attributes:
      landmarks: float32 [478, 3].
      shape: [P, 3], its rigid points less those of the average face, in units of that
        face's size.
      colours: [C, 3], of its skin, CIE Lab.
    """

    landmarks: np.ndarray
    shape: np.ndarray
    colours: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """Left, top, right and bottom, pixels, [4]."""
        flat = self.landmarks[:, :2]
        return np.concatenate([flat.min(0), flat.max(0)])


def candidate(rgb: np.ndarray, landmarks: np.ndarray) -> Candidate:
    """A face of an image, uint8 [H, W, 3], by its landmarks [478, 3]."""
    return Candidate(landmarks, _shape(landmarks), _colours(rgb, landmarks))


def _shape(landmarks: np.ndarray) -> np.ndarray:
    canonical = face_mesh.canonical_points()[_RIGID]
    canonical = canonical - canonical.mean(0)
    points = landmarks[_RIGID].astype(np.float64)
    points -= points.mean(0)
    left, strengths, right = np.linalg.svd(points.T @ canonical)
    handed = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    turn = (left * handed) @ right
    scale = (strengths * handed).sum() / max(np.square(points).sum(), 1e-9)
    return ((scale * points @ turn - canonical) / canonical.std()).astype(np.float32)


def _colours(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    reach = max(1, round(np.ptp(landmarks[:, 0]) / 40))
    colours = np.zeros((len(_SKIN), 3), np.float32)
    for index, (x, y) in enumerate(landmarks[list(_SKIN), :2]):
        left = int(np.clip(x - reach, 0, width - 1))
        top = int(np.clip(y - reach, 0, height - 1))
        patch = rgb[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        colours[index] = patch.reshape(-1, 3).mean(0) / 255
    return cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0]


def choose(
    frames: Sequence[Sequence[Candidate]], expected: np.ndarray | None = None
) -> list[int | None]:
    """The person's face in each frame; None where it is not seen.

    Args:
      frames: candidates of each frame.
      expected: [4], where the survey saw the person, pixels.
    """
    runs = sorted(_runs(frames), key=len, reverse=True)
    chosen: list[int | None] = [None] * len(frames)
    if not runs:
        return chosen
    if expected is not None:
        # The longest run of those near the place that was chosen.
        runs.sort(key=lambda run: not _near(_usual(frames, run), expected))
    person: dict[int, int] = {}
    for run in runs:
        if person.keys() & run.keys():
            continue
        if not person or _is_same(frames, person, run):
            person |= run
    for index, which in person.items():
        chosen[index] = which
    return chosen


def _runs(frames: Sequence[Sequence[Candidate]]) -> list[dict[int, int]]:
    """Indices of candidates, by frame, that continue each other."""
    finished, open_runs = [], []
    for index, candidates in enumerate(frames):
        continued, free = [], set(range(len(candidates)))
        for run in open_runs:
            last = frames[index - 1][run[index - 1]]
            steps = {k: _step(last, candidates[k]) for k in free}
            best = min(steps, key=steps.__getitem__, default=None)
            if best is None or steps[best] > 1:
                finished.append(run)
                continue
            free.discard(best)
            run[index] = best
            continued.append(run)
        open_runs = continued + [{index: k} for k in sorted(free)]
    return finished + open_runs


def _step(one: Candidate, other: Candidate) -> float:
    """How far apart two faces of successive frames are; 1 is as far as may be."""
    move, growth = _apart(one.box, other.box)
    colour = np.linalg.norm(one.colours - other.colours, axis=1).mean()
    return float(max(move / _STEP, growth / _GROWTH, colour / _COLOUR_STEP))


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Widths between two boxes, and the factor between their sizes."""
    width, another = max(one[2] - one[0], 1e-6), max(other[2] - other[0], 1e-6)
    away = (one[:2] + one[2:] - other[:2] - other[2:]) / 2
    growth = max(width / another, another / width)
    return float(np.linalg.norm(away) / width), float(growth)


def _usual(frames: Sequence[Sequence[Candidate]], run: dict[int, int]) -> np.ndarray:
    return np.median([frames[index][k].box for index, k in run.items()], axis=0)


def _near(box: np.ndarray, expected: np.ndarray) -> bool:
    move, growth = _apart(expected, box)
    return move < _AWAY and growth < _SIZES


def _is_same(
    frames: Sequence[Sequence[Candidate]], person: dict[int, int], run: dict[int, int]
) -> bool:
    """Whether a run of faces is of the person that others show."""
    own, others = (
        [frames[index][k] for index, k in one.items()] for one in (person, run)
    )
    own = own[:: max(len(own) // _COMPARED, 1)]
    box = _usual(frames, run)
    places = np.array([one.box for one in own])
    if not any(_near(box, place) for place in places):
        return False
    for part, least in (("shape", _LEAST_SHAPE), ("colours", _LEAST_COLOUR)):
        known = np.stack([getattr(one, part) for one in own])
        middle = np.median(known, axis=0)
        spread = np.percentile(_deviation(known, middle), 99)
        found = _deviation(np.stack([getattr(one, part) for one in others]), middle)
        if np.median(found) > _UNLIKE * max(spread, least):
            return False
    return True


def _deviation(faces: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Mean distance of each face's points or colours from the median face."""
    return np.linalg.norm(faces - middle, axis=-1).mean(-1)
