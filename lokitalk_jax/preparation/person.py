"""Which of the faces in a video is the person's, by the samples of the survey."""

import re
from collections.abc import Sequence

import numpy as np

RIVAL = 0.6  # a second face at least this wide, relative to the person's, may be meant
_STEP = 1.5  # widths that a face may move from one sample to the next
_GROWTH = 1.6  # factor of its size, likewise
_AWAY = 1.5  # widths from its usual place at which a face may appear again


def check(person: str | None) -> None:
    """Raises a ValueError where `person` is no choice, see `chosen`."""
    if person is not None and not re.fullmatch(r"left|right|[1-9]\d*|\d+,\d+", person):
        raise ValueError(
            f"person={person} must be left, right, a number from the left, or x,y in "
            "pixels"
        )


def chosen(boxes: np.ndarray, person: str | None) -> int:
    """Index of one of the faces of a frame.

    Args:
      boxes: [K, 4], left, top, right and bottom, largest first; K > 0.
      person: left, right, a number from the left, from 1, or x,y in pixels of the
        upright frame; None for the largest.
    """
    if person is None:
        return 0
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    if "," in person:
        point = [float(value) for value in person.split(",")]
        return int(np.linalg.norm(centres - point, axis=1).argmin())
    order = np.argsort(centres[:, 0])
    place = {"left": 1, "right": len(order)}.get(person) or int(person)
    return int(order[min(place, len(order)) - 1])


def follow(
    samples: Sequence[np.ndarray], person: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Follows one person through the samples.

    Args:
      samples: [K, 4] of each of M samples, boxes of its faces, largest first.
      person: see `chosen`; None for the face that is seen longest and largest.

    Returns:
      boxes float32 [M, 4], NaN where the person is not seen; rivals bool [M], where
      another face is of similar size and nobody said which is meant.
    """
    tracks = _tracks(samples)
    boxes = np.full((len(samples), 4), np.nan, np.float32)
    rivals = np.zeros(len(samples), bool)
    if not tracks:
        return boxes, rivals
    main = max(tracks, key=lambda track: _weight(track, samples, person))
    rest = sorted((t for t in tracks if t is not main), key=len, reverse=True)
    for track in rest:
        if not main.keys() & track.keys() and _fits(main, track):
            main |= track
    for index, box in main.items():
        boxes[index] = box
        widths = samples[index][:, 2] - samples[index][:, 0]
        large = widths > RIVAL * (box[2] - box[0])
        rivals[index] = person is None and large.sum() > 1
    return boxes, rivals


def _tracks(samples: Sequence[np.ndarray]) -> list[dict[int, np.ndarray]]:
    """Faces that continue each other: boxes by number of the sample."""
    tracks: list[dict[int, np.ndarray]] = []
    for index, faces in enumerate(samples):
        free = [track for track in tracks if index not in track]
        for box in faces:
            near = [(_distance(_last(track), box), track) for track in free]
            near = [pair for pair in near if pair[0] < _STEP]
            if near:
                track = min(near, key=lambda pair: pair[0])[1]
                free = [one for one in free if one is not track]
                track[index] = box
            else:
                tracks.append({index: box})
    return tracks


def _last(track: dict[int, np.ndarray]) -> np.ndarray:
    return track[max(track)]


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Widths between two boxes; infinite where they are of other sizes."""
    width, another = one[2] - one[0], other[2] - other[0]
    if not 1 / _GROWTH < another / width < _GROWTH:
        return np.inf
    away = (one[:2] + one[2:] - other[:2] - other[2:]) / 2
    return float(np.linalg.norm(away) / width)


def _weight(track, samples: Sequence[np.ndarray], person: str | None) -> float:
    if person is None:
        return float(sum(box[2] - box[0] for box in track.values()))
    picked = [
        np.array_equal(samples[index][chosen(samples[index], person)], box)
        for index, box in track.items()
    ]
    return float(sum(picked))


def _fits(main: dict[int, np.ndarray], track: dict[int, np.ndarray]) -> bool:
    """Whether a track may be the same person, who was out of sight meanwhile."""
    usual, other = (np.median(list(t.values()), axis=0) for t in (main, track))
    return _distance(usual, other) < _AWAY
