import json
import shutil

import cv2
import numpy as np
import peer_folder
import pytest
from doctor_folder import (
    COUNT,
    SIZE,
    found_in,
    truncate,
)

from lokitalk_jax.doctor import check, finding


def edit_json(path, change):
    file = path / "transforms_train.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def shift_poses(path):
    for name in ("train", "val"):
        file = path / f"transforms_{name}.json"
        content = json.loads(file.read_text())
        matrices = [np.linalg.inv(m) for m in peer_folder.poses(COUNT + 1)]
        for frame in content["frames"]:
            frame["transform_matrix"] = matrices[frame["img_id"] + 1].tolist()
        file.write_text(json.dumps(content))


def swap_parsing(path):
    for file in (path / "parsing").iterdir():
        image = cv2.imread(str(file))
        cv2.imwrite(str(file), np.ascontiguousarray(image[..., ::-1]))


def pose_of(content, index=2):
    return content["frames"][index]["transform_matrix"]


def scale_poses(content):
    for frame in content["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] *= 1000


# As in the tests of our own folders: what is done, the check, words of its message.
PEER = {
    "landmarks of a frame missing": (
        lambda p: (p / "ori_imgs" / "7.lms").unlink(),
        "landmarks_missing", "none of frames 7"),
    "unreadable landmarks": (
        lambda p: (p / "ori_imgs" / "7.lms").write_text("1 2 3"),
        "landmarks_unreadable", "7"),
    "NaN landmarks": (
        lambda p: np.savetxt(p / "ori_imgs" / "3.lms", np.full((68, 2), np.nan)),
        "not_finite", "3"),
    "shifted poses": (shift_poses, "index_shift", "better"),
    "no transforms": (
        lambda p: (p / "transforms_val.json").unlink(), "transforms", "no such file"),
    "unreadable transforms": (
        lambda p: (p / "transforms_train.json").write_text("{"),
        "transforms", "cannot be read"),
    "no focal": (
        lambda p: edit_json(p, lambda c: c.pop("focal_len")),
        "transforms", "focal_len"),
    "focal of NaN": (
        lambda p: edit_json(p, lambda c: c.update(focal_len=float("nan"))),
        "transforms", "focal_len is nan"),
    "focal of 0": (
        lambda p: edit_json(p, lambda c: c.update(focal_len=0)),
        "transforms", "focal_len is 0"),
    "infinite centre": (
        lambda p: edit_json(p, lambda c: c.update(cx=float("inf"))),
        "transforms", "cx is inf"),
    "no training frames": (
        lambda p: edit_json(p, lambda c: c["frames"].clear()),
        "pose_count", "no frame to train on"),
    "empty pose": (
        lambda p: edit_json(p, lambda c: pose_of(c).clear()), "transforms", "(0,)"),
    "empty transforms": (
        lambda p: (p / "transforms_train.json").write_text(""),
        "transforms", "cannot be read"),
    "no action units": (
        lambda p: (p / "au.csv").write_text(""), "expressions", "0 rows for 44"),
    "empty features": (
        lambda p: np.save(p / "aud_hu.npy", np.zeros((0, 2, 1024), "f4")),
        "features_length", "0 rows or windows for 44"),
    "features without an axis": (
        lambda p: np.save(p / "aud_hu.npy", np.float32(1)),
        "features_kind", "no known kind"),
    "pose of 3 rows": (
        lambda p: edit_json(p, lambda c: pose_of(c).pop()), "transforms", "(3, 4)"),
    "NaN pose": (
        lambda p: edit_json(p, lambda c: pose_of(c)[0].__setitem__(0, float("nan"))),
        "not_rigid", "frames 2"),
    "poses missing": (
        lambda p: edit_json(p, lambda c: c["frames"].pop()), "pose_count", "43 poses"),
    "pose twice": (
        lambda p: edit_json(p, lambda c: c["frames"].append(c["frames"][0])),
        "transforms", "occurs twice"),
    "millimetres": (lambda p: edit_json(p, scale_poses), "depth", "from the head"),
    "frame missing": (
        lambda p: (p / "ori_imgs" / "5.jpg").unlink(), "missing_frames", "5"),
    "truncated frame": (
        lambda p: truncate(p / "gt_imgs" / "5.jpg"), "unreadable_picture", "5"),
    "other size": (
        lambda p: cv2.imwrite(str(p / "gt_imgs" / "5.jpg"), np.zeros((8, 8, 3))),
        "picture_size", "8x8"),
    "no plate": (lambda p: (p / "bc.jpg").unlink(), "unreadable_picture", "missing"),
    "swapped channels": (swap_parsing, "parsing_swapped", "torso (red) above it"),
    "unknown colour": (
        lambda p: cv2.imwrite(
            str(p / "parsing" / "0.png"), np.full((SIZE, SIZE, 3), 77, np.uint8)),
        "parsing_colours", "(77, 77, 77)"),
    "sound of 44.1 kHz": (
        lambda p: peer_folder.write_wav(p / "aud.wav", COUNT * 1764, 44100),
        "sound_rate", "44100"),
    "no sound": (lambda p: (p / "aud.wav").unlink(), "no_sound", "no such file"),
    "features of no kind": (
        lambda p: np.save(p / "aud.npy", np.zeros((COUNT, 16, 31))),
        "features_kind", "no known kind"),
    "features too short": (
        lambda p: np.save(p / "aud_hu.npy", np.zeros((30, 2, 1024), "f4")),
        "features_length", "30 rows or windows for 44"),
    "damaged features": (
        lambda p: truncate(p / "aud_ds.npy"), "features_unreadable", "read"),
    "expressions too short": (
        lambda p: (p / "au.csv").write_text("frame, AU45_r\n0, 0.1\n"),
        "expressions", "1 rows for 44"),
    "other blendshapes": (
        lambda p: np.save(p / "bs.npy", np.zeros((COUNT, 7))),
        "expressions", "(44, 7)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("doctor") / "peer"
    peer_folder.write(path, COUNT)
    return path


@pytest.fixture
def peer(made, tmp_path):
    return shutil.copytree(made, tmp_path / "peer")


@pytest.mark.parametrize("fault", PEER)
def test_every_fault_of_peers_is_reported(peer, fault, capsys):
    spoil, name, words = PEER[fault]
    spoil(peer)
    found_in(peer, name, words, capsys)


def test_a_good_folder_of_peers_has_no_faults(peer, tmp_path):
    found = check.examine(peer)
    assert {one.severity for one in found} == {finding.NOTE}
    seen = {one.check: one.seen for one in found}
    assert seen["features_kind"].startswith("DeepSpeech")
    assert "ER-NeRF" in seen["parsing_flavour"]
    peer_folder.write(tmp_path / "tg", 12, gaussian=True)
    flavours = [o.seen for o in check.examine(tmp_path / "tg") if "flavour" in o.check]
    assert "TalkingGaussian" in flavours[0]
    peer_folder.write(tmp_path / "odd", 12, width=65)
    found = check.examine(tmp_path / "odd")
    assert [o.check for o in found if o.severity == finding.WARNING] == ["odd_size"]


def test_features_that_importing_does_not_use_are_no_error(peer):
    np.save(peer / "aud_hu.npy", np.zeros((3, 2, 1024), "f4"))
    truncate(peer / "aud_ds.npy")
    found = {one.severity for one in check.examine(peer)}
    assert found == {finding.WARNING, finding.NOTE}


def rename(path, number):
    for kind in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing"):
        for file in list((path / kind).iterdir()):
            file.rename(file.with_stem(number(int(file.stem))))


def as_png(path):
    for kind in ("ori_imgs", "gt_imgs"):
        for file in list((path / kind).glob("*.jpg")):
            cv2.imwrite(str(file.with_suffix(".png")), cv2.imread(str(file)))
            file.unlink()


def with_mark(path):
    for file in path.glob("*.json"):
        file.write_text(file.read_text("utf-8"), "utf-8-sig")


@pytest.mark.parametrize(
    "change", [lambda p: rename(p, "{:05d}".format), as_png, with_mark]
)
def test_other_names_pictures_and_byte_order_marks_are_no_fault(peer, change):
    change(peer)
    assert {one.severity for one in check.examine(peer)} == {finding.NOTE}
