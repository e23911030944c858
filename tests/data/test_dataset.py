import multiprocessing
import os
import pathlib
import shutil

import numpy as np
import pytest
import tiny_folder

from lokitalk_jax.data import folder, frame_cache, layout, regions
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import image_file


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return tiny_folder.write(tmp_path_factory.mktemp("data") / "ann")


def test_pixels_keep_their_place_when_resized(identity):
    data = Dataset.open(identity, 32)
    assert data.camera.shape == (24, 32)
    assert data.images.shape == (22, 24, 32, 7)
    rgb, alpha, labels = data.frame(5)
    assert rgb.dtype == alpha.dtype == np.float32
    # Red was 3 times the column's index, which lies at index + 0.5 of the folder's
    # pixels; a pixel twice as wide averages two columns and has its centre between.
    x = np.arange(32) + 0.5
    np.testing.assert_allclose(rgb[3, :, 0] * 255 / 3 + 0.5, x * 2, atol=0.17)
    y = np.arange(24) + 0.5
    np.testing.assert_allclose(rgb[:, 3, 1] * 255 / 4 + 0.5, y * 2, atol=0.13)
    np.testing.assert_allclose(rgb[..., 2] * 255, 5, atol=1e-4)
    assert alpha[:, 8:24].min() == 1 and alpha[:, :8].max() == 0
    assert (labels[:12, 8:24] == layout.HEAD).all()
    assert (labels[12:, 8:24] == layout.TORSO).all()


def test_camera_and_landmarks_follow_the_size(identity):
    full, half = Dataset.open(identity, 64), Dataset.open(identity, 32)
    np.testing.assert_allclose(half.camera.intrinsics, full.camera.intrinsics / 2)
    np.testing.assert_allclose(full.camera.intrinsics, [1.4 * 64, 32, 24])
    np.testing.assert_allclose(
        half.tracks.landmarks, full.tracks.landmarks / 2, rtol=1e-6
    )
    np.testing.assert_array_equal(
        half.tracks.head_to_camera, full.tracks.head_to_camera
    )


def test_frames_to_train_and_to_hold_out(tmp_path):
    valid, duplicate = np.ones(33, bool), np.zeros(33, bool)
    valid[[2, 31]], duplicate[[5, 32]] = False, True
    identity = tiny_folder.write(tmp_path / "x", 33, valid=valid, duplicate=duplicate)
    data = Dataset.open(identity, 16)
    assert data.train_frames.tolist() == [k for k in range(30) if k not in (2, 5)]
    assert data.test_frames.tolist() == [30, 32]
    short = Dataset.open(identity, 16, max_seconds=0.4)
    assert short.train_frames.tolist() == [0, 1, 3, 4, 6, 7, 8, 9]
    assert short.test_frames.tolist() == [30, 32]
    assert short.train_mask.sum() == 8


def test_images_are_mapped_not_read(identity):
    data = Dataset.open(identity, 32)
    base = data.images
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not data.images.flags.writeable


def test_cache_is_used_again_until_the_folder_changes(tmp_path, monkeypatch):
    identity = tiny_folder.write(tmp_path / "x")
    Dataset.open(identity, 32)
    with monkeypatch.context() as patched:
        patched.setattr(frame_cache, "_build", _must_not_run)
        Dataset.open(identity, 32)
    frame = np.full((48, 64, 3), 77, np.uint8)
    image_file.write(layout.frame(identity.path, 3), frame)
    data = Dataset.open(identity, 32)
    assert (data.images[3, ..., :3] == 77).all()
    assert not (data.images[4, ..., :3] == 77).all()
    assert len(list((identity.path / "cache").iterdir())) == 1  # the stale one is gone


def _must_not_run(*_):
    raise AssertionError("the cache was built again")


def test_the_cache_goes_to_the_given_folder_and_names_do_not_clash(tmp_path):
    one = tiny_folder.write(tmp_path / "a" / "x")
    two = tiny_folder.write(tmp_path / "b" / "x", frames=11)
    root = tmp_path / "caches"
    assert len(Dataset.open(one, 16, root).images) == 22
    assert len(Dataset.open(two, 16, root).images) == 11
    assert len(list(root.iterdir())) == 2
    assert not (one.path / "cache").exists()


def test_read_only_folder_uses_the_user_s_cache(tmp_path, monkeypatch):
    identity = tiny_folder.write(tmp_path / "x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    real = os.access

    def access(path, mode):
        return not pathlib.Path(path).is_relative_to(identity.path) and real(path, mode)

    monkeypatch.setattr(os, "access", access)  # root may write anywhere
    Dataset.open(identity, 16)
    assert not (identity.path / "cache").exists()
    assert list((tmp_path / "home" / "lokitalk_jax").glob("x-*/16x12-*"))


def _open(path, barrier, results):
    barrier.wait()
    data = Dataset.open(folder.IdentityFolder(path), 48)
    results.put(int(data.images.astype(np.int64).sum()))


def test_two_processes_may_open_at_once(tmp_path):
    identity = tiny_folder.write(tmp_path / "x", frames=44)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_open, args=(identity.path, barrier, results))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    sums = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sums[0] == sums[1]
    assert len(list((identity.path / "cache").iterdir())) == 1


def test_failed_build_leaves_nothing(tmp_path):
    identity = tiny_folder.write(tmp_path / "x")
    (identity.path / "masks" / "000007.png").unlink()
    with pytest.raises(ValueError, match="000007.png is missing"):
        Dataset.open(identity, 32)
    assert not list((identity.path / "cache").iterdir())


def test_errors_say_what_to_do(tmp_path, monkeypatch):
    identity = tiny_folder.write(tmp_path / "x")
    with pytest.raises(ValueError, match="data.size to at most 64"):
        Dataset.open(identity, 65)
    with pytest.raises(ValueError, match="data.size=15 pixels is too small"):
        Dataset.open(identity, 15)
    with pytest.raises(ValueError, match="max_seconds"):
        Dataset.open(identity, 32, max_seconds=0)
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="GB free"):
        Dataset.open(identity, 32)
    lips = tiny_folder.tracks(22, 48, 64).lips
    lips[4, 3] = np.nan
    broken = tiny_folder.write(tmp_path / "y", lips=lips)
    with pytest.raises(ValueError, match="lips is not finite in frame 4"):
        Dataset.open(broken, 32)
    short = tiny_folder.write(tmp_path / "z", lips=lips[:9])
    with pytest.raises(ValueError, match="lips has 9 rows"):
        Dataset.open(short, 32)
    frame = np.zeros((20, 20), np.uint8)
    image_file.write(layout.image(identity.path, layout.LABELS, 2), frame)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="labels 2 has 20x20"):
        Dataset.open(identity, 32)


def test_region_masks_lie_on_their_regions(identity):
    data = Dataset.open(identity, 64)
    lip, eye, head, torso = data.region_masks(3).transpose(2, 0, 1)

    def at(mask, place):
        return mask[tuple((place[::-1] * data.camera.shape).astype(int))]

    assert at(lip, tiny_folder.LIP_CENTRE) == 1
    for centre in tiny_folder.EYE_CENTRES:
        assert at(eye, centre) == 1 and at(lip, centre) == 0
    assert at(eye, tiny_folder.LIP_CENTRE) == 0
    assert at(eye, tiny_folder.EYE_CENTRES.mean(0)) < 0.5  # the bridge of the nose
    assert head[:22, 18:46].min() == 1 and head[26:].max() == 0
    assert torso[26:, 18:46].min() == 1 and torso[:22].max() == 0
    assert 0 < head[24, 30] < 1  # blurred where they meet
    np.testing.assert_allclose((head + torso)[:, 18:46], 1, atol=0.005)
    for mask in (lip, eye, head, torso):
        assert mask.min() >= 0 and mask.max() <= 1


def test_ellipses_turn_and_grow_with_the_face():
    landmarks = tiny_folder.tracks(1, 48, 64).landmarks
    valid = np.ones(1, bool)
    upright = regions.fit_shapes(landmarks, valid)
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = landmarks.copy()
    moved[..., :2] = 2 * landmarks[..., :2] @ turn.T + [5, -3]
    turned = regions.fit_shapes(moved, valid)
    np.testing.assert_allclose(
        turned.centres, 2 * upright.centres @ turn.T + [5, -3], rtol=1e-4
    )
    np.testing.assert_allclose(turned.axes, 2 * turn @ upright.axes, atol=1e-3)


def test_no_face_no_lips():
    tracks = tiny_folder.tracks(2, 48, 64)
    landmarks = tracks.landmarks.copy()
    landmarks[1] = np.nan
    shapes = regions.fit_shapes(landmarks, np.array([True, False]))
    centre = (tiny_folder.LIP_CENTRE * [64, 48]).astype(np.float32)
    masks = regions.ellipses(shapes, np.arange(2), np.tile(centre, (2, 1, 1)))
    np.testing.assert_allclose(masks[:, 0], [[1, 0], [0, 0]], atol=1e-6)
