"""Whether the doctor sees that pictures and tracks are of other moments."""

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.doctor import timing


def seen_late(late, labels_late):
    """Timing of a head that walks about, and the landmarks that go with it."""
    rng = np.random.default_rng(0)
    phase = np.cumsum(0.8 * rng.uniform(size=(160, 1)) ** 4, axis=0) + [[0, 1]]
    place = 30 + 12 * np.sin(phase)
    pattern = cv2.GaussianBlur(rng.normal(size=(64, 64)), (0, 0), 3)
    pattern = np.clip(128 + 600 * pattern, 0, 255)
    moments = timing.Timing(160)
    for i in range(160):
        move = np.concatenate([np.eye(2), place[max(i - late, 0), :, None] - 30], 1)
        picture = cv2.warpAffine(pattern, move, (64, 64), borderMode=cv2.BORDER_WRAP)
        moments.add_frame(i, np.repeat(picture[..., None], 3, -1).astype(np.uint8))
        x, y = np.int32(place[max(i - labels_late, 0)])
        labels = np.zeros((64, 64), np.uint8)
        labels[y - 10 : y + 10, x - 10 : x + 10] = layout.HEAD
        moments.add_labels(i, labels)
    landmarks = place[:, None] + rng.normal(0, 0.1, (160, 9, 2))
    valid = np.arange(160) % 40 != 7
    landmarks[~valid] = 0
    return [str(one) for one in moments.findings(landmarks, valid, "again")]


def test_pictures_that_are_shifted_against_tracks_are_reported():
    assert seen_late(0, 0) == []
    (found,) = seen_late(5, 0)
    assert found == "error: frames: they fit the tracks of 5 frames before; again"
    (found,) = seen_late(0, 3)
    assert found.startswith("error: labels: they fit the tracks of 3 frames before")


def test_too_little_is_not_judged():
    rng = np.random.default_rng(0)
    tracked = rng.normal(size=(60, 1))
    assert timing.shift(np.roll(tracked, 4, 0), tracked, 0.5) == 0
    tracked = rng.normal(size=(160, 1))
    assert timing.shift(np.roll(tracked, 4, 0), tracked, 0.5) == 4
    assert timing.shift(rng.normal(size=(160, 1)), tracked, 0.5) == 0
