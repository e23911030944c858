"""The detector and the numbers of the landmarks."""

import logging

import clips
import cv2
import numpy as np
import pooch
import pytest
from mediapipe.python.solutions import face_mesh_connections as connections

from lokitalk_jax import face_mesh
from lokitalk_jax.preparation import face_model, faces

SHARED = clips.SHARED
MODEL = SHARED / "models" / face_model.NAME


def first_frame(speaker: str = "a") -> np.ndarray:
    path = SHARED / "clips" / "dev" / f"speaker_{speaker}.mp4"
    if not path.exists():
        pytest.skip("the development clips are not here")
    video = cv2.VideoCapture(str(path))
    frame = video.read()[1][..., ::-1]
    video.release()
    return np.ascontiguousarray(frame)


def edges(*contours: tuple[int, ...]) -> set[frozenset[int]]:
    closed = [zip(c, c[1:] + c[:1], strict=True) for c in contours]
    return {frozenset(pair) for contour in closed for pair in contour}


@pytest.mark.parametrize(
    "contours, mesh",
    [
        ((face_mesh.LIPS_OUTER, face_mesh.LIPS_INNER), connections.FACEMESH_LIPS),
        ((face_mesh.LEFT_EYE,), connections.FACEMESH_LEFT_EYE),
        ((face_mesh.RIGHT_EYE,), connections.FACEMESH_RIGHT_EYE),
        ((face_mesh.FACE_OVAL,), connections.FACEMESH_FACE_OVAL),
    ],
)
def test_contours_follow_the_mesh(contours, mesh):
    named = {frozenset(pair) for pair in mesh}
    # MediaPipe leaves some contours open by an edge.
    assert named <= edges(*contours)
    assert len(edges(*contours) - named) <= len(contours)


def test_contours_run_clockwise_from_the_left_of_the_image():
    points = face_mesh.canonical_points()[:, :2]
    for contour in (
        face_mesh.LIPS_OUTER,
        face_mesh.LIPS_INNER,
        face_mesh.LEFT_EYE,
        face_mesh.RIGHT_EYE,
    ):
        x, y = points[list(contour)].T
        assert x.argmin() == 0
        assert x @ (np.roll(y, -1) - np.roll(y, 1)) > 0  # clockwise where y is down


def test_68_points_are_where_the_annotation_has_them():
    points = face_mesh.canonical_points()[list(face_mesh.MESH_TO_68)]
    assert points.shape == (68, 3)
    # Mirroring a face exchanges these.
    pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
    pairs += [(31, 35), (32, 34), (36, 45), (37, 44), (41, 46), (48, 54), (50, 52)]
    pairs += [(59, 55), (60, 64), (61, 63), (67, 65)]
    left, right = (points[list(side)] for side in zip(*pairs, strict=True))
    np.testing.assert_allclose(left, right * [-1, 1, 1], atol=2e-3)
    x, y, _ = points.T
    assert (np.diff(x[1:16]) > 0).all()  # the jaw, from the left of the image
    assert y[8] == y.max()  # the chin
    assert y[51] < y[62] < y[66] < y[57]  # lips from above to below


def test_explicit_model_must_exist(tmp_path):
    with pytest.raises(ValueError, match="nothing.task does not exist"):
        face_model.find(str(tmp_path / "nothing.task"))


def test_model_is_found_in_the_folder_named(tmp_path, monkeypatch):
    (tmp_path / face_model.NAME).write_bytes(b"model")
    monkeypatch.setenv("LOKITALK_MODELS", str(tmp_path))
    assert face_model.find() == tmp_path / face_model.NAME


def test_without_network_the_mesh_is_used_and_said(tmp_path, monkeypatch, caplog):
    attempts = []

    def offline(*args, **kwargs):
        attempts.append(args)
        raise ConnectionError("no network")

    monkeypatch.delenv("LOKITALK_MODELS", raising=False)
    monkeypatch.setattr(pooch, "retrieve", offline)
    face_model._download.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert face_model.find() is None
            assert face_model.find() is None
    finally:
        face_model._download.cache_clear()
    assert len(attempts) == len(caplog.records) == 1
    assert "LOKITALK_MODELS" in caplog.text and face_model.URL in caplog.text


def test_something_else_is_not_a_model(tmp_path):
    path = tmp_path / "page.task"
    path.write_bytes(b"<html>not a model</html>")
    with pytest.raises(ValueError, match="not a FaceLandmarker model"):
        faces.FaceDetector(path)


def test_an_empty_picture_has_no_face_and_says_nothing(capfd):
    with faces.FaceDetector() as detector:
        assert detector.detect(np.full((120, 160, 3), 127, np.uint8)) == []
        with pytest.raises(ValueError, match=r"float64 \(4, 4, 3\).*uint8"):
            detector.detect(np.zeros((4, 4, 3)))
    assert capfd.readouterr().err == ""


@pytest.mark.clips
@pytest.mark.parametrize("model", [None, MODEL], ids=["mesh", "landmarker"])
def test_small_and_oblong_frames(model, capfd):
    frame = first_frame()
    if model and not model.exists():
        pytest.skip("the model file is not here")
    small = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
    oblong = np.pad(frame, ((0, 0), (200, 60), (0, 0)))
    with faces.FaceDetector(model) as detector:
        (large,) = detector.detect(frame)
    with faces.FaceDetector(model) as detector:
        (tiny,) = detector.detect(small)
    with faces.FaceDetector(model) as detector:
        (at_the_side,) = detector.detect(oblong)
    assert large.shape == (478, 3) and large.dtype == np.float32
    assert np.abs(tiny * 8 - large)[:, :2].mean() < 3
    assert np.abs(at_the_side - [200, 0, 0] - large)[:, :2].mean() < 2
    # Depth is in pixels too, smaller towards the viewer: the nose is in front.
    assert 20 < large[234, 2] - large[1, 2] < 300
    assert np.abs(at_the_side[:, 2] - large[:, 2]).mean() < 6
    assert capfd.readouterr().err == ""


@pytest.mark.clips
def test_largest_face_comes_first():
    frame = first_frame()
    if not MODEL.exists():
        pytest.skip("the model file is not here")
    half = cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA)
    scene = np.hstack([np.pad(half, ((0, 256), (0, 0), (0, 0))), frame])
    with faces.FaceDetector(MODEL) as detector:
        found = detector.detect(scene)
    assert len(found) == 2
    assert found[0][1, 0] > 256 > found[1][1, 0]
