"""One person throughout: in the samples of the survey, and in every frame."""

import contextlib
import types

import cv2
import numpy as np
import pytest

from lokitalk_jax import face_mesh
from lokitalk_jax.preparation import camera_motion, face_identity, person, stages
from lokitalk_jax.preparation.options import Options


def box(x, y=50.0, size=20.0):
    return np.float32([x - size / 2, y - size / 2, x + size / 2, y + size / 2])


def samples(*people):
    """Boxes of each sample from the places (x, y, size) of each person, or None."""
    found = []
    for places in zip(*people, strict=True):
        boxes = [box(*place) for place in places if place is not None]
        boxes.sort(key=lambda one: one[0] - one[2])
        found.append(np.array(boxes, np.float32).reshape(-1, 4))
    return found


def test_a_larger_face_for_a_moment_is_not_the_person():
    own = [(100 + k, 50, 20) for k in range(20)]
    other = [None] * 20
    own[7], other[7] = None, (105, 50, 40)
    boxes, rivals = person.follow(samples(own, other), None)
    assert np.flatnonzero(np.isnan(boxes[:, 0])).tolist() == [7]
    np.testing.assert_allclose(boxes[6:9:2, 0], [96, 98])
    assert not rivals.any()


def test_a_picture_on_the_wall_is_not_the_person_who_left():
    own = [(100, 50, 20)] * 8 + [None] * 4 + [(108, 52, 21)] * 8
    wall = [(250, 30, 9)] * 20
    boxes, rivals = person.follow(samples(own, wall), None)
    assert np.flatnonzero(np.isnan(boxes[:, 0])).tolist() == [8, 9, 10, 11]
    assert not rivals.any()


@pytest.mark.parametrize(
    ("chosen", "x"),
    [("left", 60), ("right", 300), ("1", 60), ("2", 180), ("9", 300), ("170,80", 180)],
)
def test_a_person_is_chosen_among_several(chosen, x):
    crowd = samples(*([(place, 50, 20)] * 12 for place in (60, 180, 300)))
    assert person.follow(crowd, None)[1].all()
    boxes, rivals = person.follow(crowd, chosen)
    np.testing.assert_allclose((boxes[:, 0] + boxes[:, 2]) / 2, x)
    assert not rivals.any()


def test_the_chosen_person_stays_when_out_of_sight():
    left = [(60, 50, 20)] * 6 + [None] * 5 + [(62, 50, 20)] * 6
    right = [(200, 50, 20)] * 17
    boxes, _ = person.follow(samples(left, right), "left")
    assert np.flatnonzero(np.isnan(boxes[:, 0])).tolist() == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("text", ["middle", "0", "1.5", "3,", "-1,4"])
def test_other_choices_are_refused(text):
    with pytest.raises(ValueError, match=f"person={text} must be left, right"):
        Options(person=text)


def face(x, y, size, colour, wide=1.0):
    """A drawn face: picture [120, 200, 3] and landmarks [478, 3]."""
    points = face_mesh.canonical_points() * [wide, 1, 1] * size / 0.15
    points = np.concatenate([points, points[:10]])
    landmarks = np.float32(points + [x, y, 0])
    rgb = np.full((120, 200, 3), 90, np.uint8)
    hull = cv2.convexHull(np.int32(landmarks[:, :2]))
    cv2.fillConvexPoly(rgb, hull, colour)
    return face_identity.candidate(rgb, landmarks)


PALE, DARK = (210, 170, 150), (120, 80, 60)


def clip(hidden, other):
    """100 frames of a face that sways; from 40 to 47 the frames of `other`."""
    frames = []
    for k in range(100):
        own = face(100 + 6 * np.sin(k / 5), 60, 40 + 2 * np.sin(k / 9), PALE)
        frames.append([own])
        if 40 <= k < 48:
            frames[-1] = ([] if hidden else [own]) + [face(*other)]
    return frames


@pytest.mark.parametrize(
    "other",
    [
        (104, 60, 70, PALE),  # larger
        (104, 60, 40, DARK),  # of other colours
        (170, 30, 40, PALE),  # elsewhere
        (104, 60, 40, PALE, 1.35),  # of another shape
    ],
)
@pytest.mark.parametrize("hidden", [True, False])
def test_another_face_is_not_used_for_the_person(hidden, other):
    chosen = face_identity.choose(clip(hidden, other))
    strangers = [k for k in range(100) if chosen[k] is None]
    assert strangers == (list(range(40, 48)) if hidden else [])
    assert all(which in (0, None) for which in chosen)


def test_the_same_face_is_known_again_after_a_gap():
    frames = clip(True, (170, 30, 40, PALE))
    frames[40:48] = [[]] * 8
    frames[60:70] = [[face(112, 66, 44, PALE)]] * 10  # a jump
    chosen = face_identity.choose(frames)
    assert [k for k in range(100) if chosen[k] is None] == list(range(40, 48))


def test_the_place_that_was_chosen_decides_who_is_meant():
    frames = [
        [face(60, 60, 40, PALE), face(150, 60, 40, DARK)][:: -1 if k % 2 else 1]
        for k in range(30)
    ]
    chosen = face_identity.choose(frames, frames[0][1].box)
    assert chosen == [0 if k % 2 else 1 for k in range(30)]
    assert face_identity.choose([[], []]) == [None, None]


def test_frames_of_somebody_else_are_named_and_invalid(monkeypatch, caplog):
    drawn = clip(True, (104, 60, 70, DARK))
    position = iter(range(100))
    finder = types.SimpleNamespace(
        detect=lambda rgb: [one.landmarks for one in drawn[next(position)]]
    )
    monkeypatch.setattr(
        stages.faces, "FaceDetector", lambda model: contextlib.nullcontext(finder)
    )
    black = np.zeros((120, 200, 3), np.uint8)
    folder = types.SimpleNamespace(frame=lambda index: black)
    landmarks, valid = stages.find_landmarks(folder, 100, None)
    assert np.flatnonzero(~valid).tolist() == list(range(40, 48))
    assert not landmarks[40:48].any() and landmarks[valid].any((1, 2)).all()
    assert "frames 40 to 47 (from 1.60 s) show another face" in caplog.text


def scene(shift, walker=0.0):
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(0, 255, (30, 60), np.uint8), (600, 300))
    left = 100 + round(shift)
    view = np.repeat(wall[:, left : left + 400, None], 3, 2).copy()
    view[60:, 150 + round(walker) : 250 + round(walker)] = 128
    return view


@pytest.mark.parametrize("pace", [2.5, -6.0])
def test_a_moving_camera_is_noticed(pace):
    camera = camera_motion.CameraMotion()
    for k in range(12):
        camera.add(scene(pace * k), np.float32([180, 70, 220, 110]))
    assert camera.moving() == pytest.approx(abs(pace) / 400, rel=0.2)


def test_a_moving_person_is_no_moving_camera():
    camera = camera_motion.CameraMotion()
    for k in range(12):
        x = 40 * np.sin(k)
        camera.add(scene(0, x), np.float32([180 + x, 70, 220 + x, 110]))
    assert camera.moving() is None
    plain = camera_motion.CameraMotion()
    for _ in range(5):
        plain.add(np.full((300, 400, 3), 200, np.uint8), np.float32([9, 9, 99, 99]))
    assert plain.moving() is None
