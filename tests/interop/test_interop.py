import json
import shutil

import cv2
import numpy as np
import peer_folder
import pytest
import tiny_model

from lokitalk_jax import face_mesh
from lokitalk_jax.cli import prepare
from lokitalk_jax.data import folder, layout
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.doctor import check
from lokitalk_jax.interop import peer_export, peer_import, peer_poses
from lokitalk_jax.media import image_file
from lokitalk_jax.preparation import face_model, faces
from lokitalk_jax.training import trainer


def ours(points, matrix, focal, principal):
    """Pixels of points of the head frame, as this project projects them."""
    camera = points @ matrix[:3, :3].T + matrix[:3, 3]
    return focal * camera[:, :2] / camera[:, 2:] + principal


def test_poses_project_to_the_same_pixels():
    points = np.random.default_rng(0).normal(0, 0.08, (50, 3))
    for matrix in peer_folder.poses(8):
        theirs = peer_folder.project(points, matrix, 64, 48)
        camera_to_head = np.linalg.inv(matrix)
        converted = peer_poses.to_ours(camera_to_head[None])[0]
        flipped = points * [1, -1, -1]
        found = ours(flipped, converted, peer_folder.FOCAL, (32, 24))
        np.testing.assert_allclose(found, theirs, atol=1e-5)
        assert np.linalg.det(converted[:3, :3]) == pytest.approx(1)
        assert converted[2, 3] > 0
        back = peer_poses.to_theirs(converted[None])[0]
        np.testing.assert_allclose(back, camera_to_head, atol=1e-12)


def test_our_head_is_found_under_their_poses():
    matrices = peer_folder.poses(30)
    poses = peer_poses.to_ours(np.linalg.inv(matrices))
    rigid = list(face_mesh.RIGID)
    points = peer_folder.head_points()[rigid]
    seen = np.stack([peer_folder.project(points, m, 0, 0) for m in matrices])
    seen /= peer_folder.FOCAL
    canonical = face_mesh.canonical_points()[rigid]
    head = peer_poses.fit_head(poses, canonical, seen)
    assert head.error < 1e-8 and head.scale == pytest.approx(1.06, rel=1e-4)
    moved = peer_poses.of_our_head(poses, head)
    np.testing.assert_allclose(
        np.swapaxes(moved[:, :3, :3], 1, 2) @ moved[:, :3, :3],
        np.tile(np.eye(3), (30, 1, 1)),
        atol=1e-9,
    )
    for matrix, wanted in zip(moved, seen, strict=True):
        np.testing.assert_allclose(ours(canonical, matrix, 1, 0), wanted, atol=1e-5)


class Finder:
    """Stands in for the detector, which finds no face in a drawing of few pixels."""

    def __init__(self, model=None, width=64, height=64):
        self._at, self._size = 0, (width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def detect(self, rgb):
        matrix = peer_folder.poses(self._at + 1)[self._at]
        self._at += 1
        return [peer_folder.mesh(matrix, *self._size)]


@pytest.fixture
def found_faces(monkeypatch):
    monkeypatch.setattr(faces, "FaceDetector", Finder)
    monkeypatch.setattr(face_model, "find", lambda _=None: None)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    root = tmp_path_factory.mktemp("interop")
    peer_folder.write(root / "theirs", 33)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "FaceDetector", Finder)
        patch.setattr(face_model, "find", lambda _=None: None)
        peer_import.import_folder(root / "theirs", root / "ours")
    return root / "theirs", root / "ours"


def test_what_is_imported_is_what_was_there(imported):
    theirs, path = imported
    identity = folder.IdentityFolder(path)
    meta, tracks = identity.meta, identity.tracks()
    assert (meta.frame_count, meta.train_frames) == (33, 30)
    assert (meta.focal, meta.principal) == (peer_folder.FOCAL, (32, 32))
    assert meta.quality["reprojection_px"] < 0.01
    assert meta.quality["head_scale"] == pytest.approx(1.06, rel=1e-3)
    first = (theirs / "ori_imgs" / "4.jpg").read_bytes()
    assert (path / "frames" / "000004.jpg").read_bytes() == first
    canonical = face_mesh.canonical_points()
    for i in 0, 17, 32:
        placed = ours(canonical, tracks.head_to_camera[i], meta.focal, meta.principal)
        wanted = tracks.landmarks[i, :468, :2]
        np.testing.assert_allclose(placed, wanted, atol=1e-3)  # of pixels; float32
    labels = identity.labels(3)
    assert set(np.unique(labels)) == {0, 1, 2}
    x, y = tracks.landmarks[3, 1, :2].astype(int)  # the nose's tip
    assert labels[y, x] == layout.HEAD
    assert tracks.torso_to_camera is None or len(tracks.torso_to_camera) == 33
    assert np.abs(identity.plate().astype(int) - (60, 140, 90)).max() < 8
    assert 0 < meta.quality["plate_seen"] < 1
    found = check.examine(path)
    assert not check.failed(found), [str(one) for one in found]


@pytest.mark.heavy
def test_an_imported_folder_trains_unchanged(imported, tmp_path):
    _, path = imported
    data = Dataset.open(folder.IdentityFolder(path), 32, tmp_path / "cache")
    assert len(data.train_frames) == 30 and len(data.test_frames) == 3
    config = tiny_model.config()
    config.data.root = str(path)
    config.data.cache = str(tmp_path / "cache")
    config.train.steps = 2
    trainer.train(config, tmp_path / "run")
    assert (tmp_path / "run" / "identities" / "ours").is_dir()


def test_export_and_import_give_the_same_poses(imported, tmp_path, found_faces, capsys):
    _, path = imported
    out = tmp_path / "exported"
    assert prepare.main([f"--export={path}", f"--out={out}"]) == 0
    assert "aud_ds.npy" in capsys.readouterr().out
    findings = check.examine(out)
    assert not check.failed(findings), [str(one) for one in findings]
    assert (out / "torso_imgs" / "32.png").is_file()
    read = peer_poses.read(out)
    tracks = folder.IdentityFolder(path).tracks()
    np.testing.assert_allclose(
        peer_poses.to_ours(read.camera_to_head), tracks.head_to_camera, atol=1e-6
    )
    again = tmp_path / "again"
    assert prepare.main([f"--import={out}", f"--out={again}"]) == 0
    capsys.readouterr()
    back = folder.IdentityFolder(again).tracks()
    points = face_mesh.canonical_points()
    for one, other in zip(tracks.head_to_camera, back.head_to_camera, strict=True):
        np.testing.assert_allclose(
            ours(points, np.float64(one), 1, 0),
            ours(points, np.float64(other), 1, 0),
            atol=1e-5,
        )
    assert prepare.main([f"--export={path}", f"--out={out}"]) == 1
    assert "is there already" in capsys.readouterr().err


def test_an_import_marks_repeats(tmp_path, found_faces):
    source = tmp_path / "theirs"
    peer_folder.write(source, 33)
    for i in range(2, 33, 3):
        pictures = source / "ori_imgs"
        shutil.copyfile(pictures / f"{i - 1}.jpg", pictures / f"{i}.jpg")
    peer_import.import_folder(source, tmp_path / "ours")
    found = folder.IdentityFolder(tmp_path / "ours").tracks().duplicate
    assert np.flatnonzero(found).tolist() == list(range(2, 33, 3))


def test_padded_png_frames_without_held_out_ones_are_imported(tmp_path, found_faces):
    source = tmp_path / "theirs"
    peer_folder.write(source, 22)
    for kind in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing"):
        for file in list((source / kind).iterdir()):
            padded = file.with_stem(f"{int(file.stem):06d}")
            if file.suffix == ".jpg":
                cv2.imwrite(str(padded.with_suffix(".png")), cv2.imread(str(file)))
                file.unlink()
            else:
                file.rename(padded)
    train, held_out = (source / f"transforms_{name}.json" for name in ("train", "val"))
    contents = [json.loads(file.read_text("utf-8")) for file in (train, held_out)]
    contents[0]["frames"] += contents[1]["frames"]
    contents[1]["frames"] = []
    for file, content in zip((train, held_out), contents, strict=True):
        file.write_text(json.dumps(content), "utf-8-sig")
    meta = peer_import.import_folder(source, tmp_path / "ours")
    assert (meta.frame_count, meta.train_frames) == (22, 20)
    frame = image_file.read_rgb(source / "ori_imgs" / "000007.png")
    found = folder.IdentityFolder(tmp_path / "ours")
    np.testing.assert_array_equal(found.frame(7), frame)


def test_an_import_goes_on_where_it_was_stopped(tmp_path, found_faces, monkeypatch):
    peer_folder.write(tmp_path / "theirs", 22)
    broken = peer_import._write_labels

    def stop(*_):
        raise OSError("no space left")

    monkeypatch.setattr(peer_import, "_write_labels", stop)
    arguments = [f"--import={tmp_path / 'theirs'}", f"--out={tmp_path / 'ours'}"]
    assert prepare.main(arguments) == 1
    assert not (tmp_path / "ours" / "identity.json").exists()
    monkeypatch.setattr(peer_import, "_write_labels", broken)
    monkeypatch.setattr(faces, "FaceDetector", None)  # landmarks are there already
    assert prepare.main(arguments) == 0
    assert not (tmp_path / "ours" / ".prepare").exists()


def test_odd_frames_lose_a_pixel(tmp_path, monkeypatch, found_faces):
    monkeypatch.setattr(faces, "FaceDetector", lambda _: Finder(None, 65, 64))
    peer_folder.write(tmp_path / "theirs", 22, width=65)
    meta = peer_import.import_folder(tmp_path / "theirs", tmp_path / "ours")
    assert (meta.width, meta.height, meta.principal) == (64, 64, (32.5, 32))
    assert meta.quality["reprojection_px"] < 0.01


def test_what_cannot_be_converted_is_refused(tmp_path, found_faces, capsys):
    def refusal(flag, source, out="out"):
        assert prepare.main([f"--{flag}={source}", f"--out={tmp_path / out}"]) == 1
        return capsys.readouterr().err

    assert "is not laid out as a folder of ER-NeRF" in refusal("import", tmp_path)
    theirs = tmp_path / "theirs"
    peer_folder.write(theirs, 22)
    (theirs / "ori_imgs" / "7.lms").unlink()
    message = refusal("import", theirs)
    assert "cannot be imported as it is" in message and "none of frames 7" in message
    assert not (tmp_path / "out").exists()
    assert "not an identity folder" in refusal("export", theirs)
    peer_folder.write(tmp_path / "good", 22)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    assert "holds files" in refusal("import", tmp_path / "good", "taken")


def test_gaps_are_not_exported(imported, tmp_path):
    path = shutil.copytree(imported[1], tmp_path / "gap")
    with np.load(path / "tracks.npz") as stored:
        arrays = dict(stored)
    arrays["valid"][5] = False
    np.savez(path / "tracks.npz", **arrays)
    with pytest.raises(ValueError, match="1 frames without a face"):
        peer_export.export_folder(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert json.loads((path / "identity.json").read_text())["frame_count"] == 33
