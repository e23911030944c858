"""Landmarks as points of the head frame, against a face that is exactly known."""

import numpy as np
import pytest
import tiny_model

from lokitalk_jax import demo, structs
from lokitalk_jax.data import face_points, folder, signals
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.data.loader import Drawing, Loader
from lokitalk_jax.training import batches


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    motion = demo.MotionStyle(controlled=True, pose_error=0.08)
    (path,) = demo.make_cast(
        tmp_path_factory.mktemp("cast"),
        identities=1,
        seconds=2,
        size=96,
        motion=motion,
        workers=1,
    )
    return Dataset.open(folder.IdentityFolder(path), 48)


def test_points_move_as_the_surface_does(person):
    """Of a face that is not the average one, so up to where it always lies off."""
    truth = demo.load_truth(person.folder)
    frames = range(0, 50, 7)
    exact = np.stack(
        [demo.observed_vertices(truth, f)[: face_points.COUNT] for f in frames]
    )
    found = face_points.face_points(person)[list(frames)] * structs.UNIT
    assert np.linalg.norm(found - exact, axis=-1).max() < 0.008
    moved, true = found - found.mean(0), exact - exact.mean(0)
    error = np.linalg.norm(moved - true, axis=-1).mean()
    assert error < 0.25 * np.linalg.norm(true, axis=-1).mean()


def test_frames_without_a_face_are_zero(person):
    valid = person.tracks.valid.copy()
    valid[3] = False
    landmarks = person.tracks.landmarks.copy()
    landmarks[3] = np.nan
    tracks = person.tracks._replace(valid=valid, landmarks=landmarks)
    blind = Dataset(**{**vars(person), "tracks": tracks})
    found = face_points.face_points(blind)
    assert not found[3].any()
    np.testing.assert_array_equal(
        np.delete(found, 3, 0), np.delete(face_points.face_points(person), 3, 0)
    )


def _loader(person, landmarks):
    _, tracked = signals.fit_apply(
        {person.name: person.tracks}, {person.name: person.train_mask}
    )
    drawing = Drawing(frames=4, rays=8, landmarks=landmarks)
    return Loader([person, None], tracked, drawing, seed=0)


def test_a_batch_shows_the_same_landmarks_in_all_frames(person):
    loader = _loader(person, 20)
    batch = loader.batch(5)
    assert batch.face_points.shape == (2, 4, 20, 3)
    assert not batch.face_points[1].any()
    everything = face_points.face_points(person)
    landmarks = []
    for one in batch.face_points[0]:
        same = (everything[:, :, None] == one).all(-1)  # [F, 468, 20]
        # All of them are of one frame.
        (frame, *_) = np.flatnonzero(same.any(1).all(-1))
        landmarks.append(same[frame].argmax(0))
    assert all((of == landmarks[0]).all() for of in landmarks)
    assert len(np.unique(landmarks[0])) == 20
    np.testing.assert_array_equal(batch.face_points, loader.batch(5).face_points)
    assert (batch.face_points[0] != loader.batch(6).face_points[0]).any()


def test_landmarks_change_nothing_else_of_a_batch(person):
    with_points, without = (_loader(person, n).batch(2) for n in (20, 0))
    assert without.face_points is None
    np.testing.assert_array_equal(with_points.pixels, without.pixels)
    np.testing.assert_array_equal(with_points.rgb, without.rgb)


def test_more_landmarks_than_a_face_has_are_refused(person):
    with pytest.raises(ValueError, match="data.landmarks=469, but a face has 468"):
        _loader(person, 469)


def test_a_weight_on_landmarks_that_are_not_drawn_is_refused():
    config = tiny_model.config()
    config.data.landmarks = 0
    with pytest.raises(
        ValueError, match="loss.landmarks=1.0 needs landmarks, and data"
    ):
        batches.Batches(config, None, (), {})
