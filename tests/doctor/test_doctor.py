import shutil

import cv2
import doctor_folder
import numpy as np
import peer_folder
import pytest
from doctor_folder import (
    COUNT,
    FOCAL,
    SIZE,
    black,
    change_meta,
    change_tracks,
    found_in,
    good_tracks,
    truncate,
)

from lokitalk_jax.cli import prepare
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.doctor import check, finding, pictures


def shift(array, by=1):
    return np.roll(array, by, axis=0)


def with_nan(array, row=7):
    array = array.copy()
    array[row, 0] = np.nan
    return array


def mirror(poses):
    poses = poses.copy()
    poses[3, :3, 0] *= -1
    return poses


def swap_labels(path):
    for file in (path / "labels").iterdir():
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(file), np.array([0, 2, 1], np.uint8)[image])


def odd_label(path):
    image = np.full((SIZE, SIZE), 7, np.uint8)
    cv2.imwrite(str(path / "labels" / "000004.png"), image)


def repeat_frames(path):
    for i in range(1, COUNT, 4):
        data = (path / "frames" / f"{i - 1:06d}.png").read_bytes()
        (path / "frames" / f"{i:06d}.png").write_bytes(data)


def jump(tracks):
    landmarks = tracks.landmarks.copy()
    landmarks[30:, :, 0] += 30
    poses = tracks.head_to_camera.copy()
    poses[30:, 0, 3] += 30 * 0.6 / FOCAL
    return {"landmarks": landmarks, "head_to_camera": poses}


def write_plate(path, seen=1.0, size=SIZE):
    plate = np.zeros((size, size, 4), np.uint8)
    plate[: int(seen * size), :, 3] = 255
    cv2.imwrite(str(path / "background.png"), plate)


T = good_tracks()


# What is done to a good folder, the check that must find it, and words of its message.
OWN = {
    "unreadable JSON": (
        lambda p: (p / "identity.json").write_text("{"), "manifest", "not valid JSON"),
    "wrong schema": (lambda p: change_meta(p, schema=7), "schema", "schema 7"),
    "JSON list": (
        lambda p: (p / "identity.json").write_text("[]"),
        "manifest", "Expected `object`, got `array`"),
    "unknown field": (
        lambda p: change_meta(p, foo=1), "manifest", "unknown field `foo`"),
    "text for a number": (
        lambda p: change_meta(p, height="64"), "manifest", "$.height"),
    "no manifest": (
        lambda p: (p / "identity.json").unlink(), "unfinished", "no such file"),
    "unfinished": (
        lambda p: ((p / "identity.json").unlink(), (p / ".prepare").mkdir()),
        "unfinished", "not finished"),
    "split": (lambda p: change_meta(p, train_frames=COUNT), "split", "44 of 44"),
    "fps": (lambda p: change_meta(p, fps=30), "fps", "30 frames a second"),
    "odd size": (lambda p: change_meta(p, width=63), "odd_size", "odd side"),
    "other size": (
        lambda p: change_meta(p, width=62),
        "picture_size", "instead of 62x64"),
    "more frames said": (
        lambda p: change_meta(p, frame_count=50), "tracks_length", "44 rows, not 50"),
    "shifted poses": (
        lambda p: change_tracks(p, head_to_camera=shift(T.head_to_camera)),
        "index_shift", "better"),
    "shifted landmarks": (
        lambda p: change_tracks(p, landmarks=shift(T.landmarks, 2)),
        "index_shift", "frame i-2 better"),
    "truncated frame": (
        lambda p: truncate(p / "frames" / "000003.png"), "unreadable_picture", "3"),
    "truncated mask": (
        lambda p: truncate(p / "masks" / "000005.png"), "unreadable_picture", "5"),
    "missing frame": (
        lambda p: (p / "frames" / "000009.png").unlink(), "unreadable_picture", "9"),
    "extra frames": (
        lambda p: cv2.imwrite(str(p / "frames" / "000044.png"), np.zeros((8, 8, 3))),
        "extra_files", "beyond the 44 frames"),
    "no tracks": (lambda p: (p / "tracks.npz").unlink(), "no_tracks", "no such file"),
    "truncated tracks": (
        lambda p: truncate(p / "tracks.npz"), "tracks_unreadable", "cannot be read"),
    "wrong dtype": (
        lambda p: change_tracks(p, head_to_camera=T.head_to_camera.astype(float)),
        "tracks_type", "float64"),
    "wrong shape": (
        lambda p: change_tracks(p, landmarks=T.landmarks[:, :468]),
        "tracks_type", "(44, 468, 3)"),
    "missing array": (
        lambda p: change_tracks(p, lips=None),
        "tracks_missing", "no lips"),
    "NaN pose": (
        lambda p: change_tracks(p, head_to_camera=with_nan(T.head_to_camera)),
        "not_finite", "head_to_camera is not finite in frame 7"),
    "mirrored pose": (
        lambda p: change_tracks(p, head_to_camera=mirror(T.head_to_camera)),
        "not_rigid", "frames 3"),
    "millimetres": (
        lambda p: change_tracks(
            p, head_to_camera=T.head_to_camera * np.float32([1, 1, 1, 1000])
            + np.float32([0, 0, 0, 0])),
        "not_rigid", "rotation"),
    "centimetres": (
        lambda p: change_tracks(p, head_to_camera=far(T.head_to_camera)),
        "depth", "60"),
    "other focal": (
        lambda p: change_meta(p, focal=170.0),
        "reprojection", "average face"),
    "faceless": (
        lambda p: change_tracks(p, valid=np.arange(COUNT) > 4), "faceless", "5 of 44"),
    "no face at all": (
        lambda p: change_tracks(p, valid=np.zeros(COUNT, bool)),
        "faceless", "no frame"),
    "marked repeats": (
        lambda p: change_tracks(p, duplicate=np.arange(COUNT) % 5 == 4),
        "repeats", "8 of 44"),
    "hidden repeats": (repeat_frames, "unmarked_repeats", "11 of 44"),
    "cut": (lambda p: change_tracks(p, **jump(T)), "jump", "frames 30"),
    "swapped labels": (swap_labels, "labels_off_face", "not labelled head"),
    "black masks": (
        lambda p: black(p / "masks", 5), "mask_off_labels", "0, 1, 2 and 2 more"),
    "enlarged": (
        lambda p: change_meta(
            p, source={"window": {"width": 24, "out_width": SIZE}}),
        "enlarged", "2.7 times"),
    "unknown label": (odd_label, "label_values", "above 2"),
    "no plate": (
        lambda p: (p / "background.png").unlink(), "unreadable_picture", "missing"),
    "plate of another size": (
        lambda p: write_plate(p, size=32), "picture_size", "32x32 RGBA"),
    "plate hardly seen": (lambda p: write_plate(p, 0.1), "plate_seen", "only 9%"),
    "no sound": (lambda p: (p / "audio.wav").unlink(), "no_sound", "no such file"),
    "sound of 44.1 kHz": (
        lambda p: peer_folder.write_wav(p / "audio.wav", COUNT * 1764, 44100),
        "sound_rate", "44100 Hz"),
    "stereo": (
        lambda p: peer_folder.write_wav(p / "audio.wav", COUNT * 640, channels=2),
        "sound_channels", "2 channels"),
    "short sound": (
        lambda p: peer_folder.write_wav(p / "audio.wav", 9000),
        "sound_short", "0.56 s"),
    "long sound": (
        lambda p: peer_folder.write_wav(p / "audio.wav", 60000),
        "sound_long", "3.75 s"),
    "quiet sound": (
        lambda p: peer_folder.write_wav(p / "audio.wav", COUNT * 640, loud=0.01),
        "sound_quiet", "-40 dB"),
    "silence": (
        lambda p: peer_folder.write_wav(p / "audio.wav", COUNT * 640, loud=0.0),
        "sound_silent", "silent ("),
    "clipped sound": (
        lambda p: FolderWriter(p).write_sound(
            np.random.default_rng(0).normal(0, 1, COUNT * 640)),
        "sound_clipped", "full scale"),
    "sound that is none": (
        lambda p: (p / "audio.wav").write_bytes(b"RIFFhello"),
        "sound_unreadable", "not a WAV"),
}  # fmt: skip


def far(poses):
    poses = poses.copy()
    poses[:, :3, 3] *= 100
    return poses


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return doctor_folder.write_identity(tmp_path_factory.mktemp("doctor") / "own")


@pytest.fixture
def own(made, tmp_path):
    return shutil.copytree(made, tmp_path / "own")


def test_a_good_folder_has_no_faults(own, capsys):
    found = check.examine(own)
    assert {one.severity for one in found} <= {finding.NOTE}
    assert not check.failed(found)
    assert prepare.main([f"--check={own}"]) == 0
    assert "1 note" in capsys.readouterr().out


MERELY_WARNED = {
    "odd_size", "repeats", "unmarked_repeats", "jump", "plate_seen", "sound_long",
    "sound_quiet", "sound_silent", "sound_clipped", "expressions", "enlarged",
}  # fmt: skip


@pytest.mark.parametrize("fault", OWN)
def test_every_fault_of_ours_is_reported(own, fault, capsys):
    spoil, name, words = OWN[fault]
    spoil(own)
    severity = found_in(own, name, words, capsys)
    if fault != "faceless":
        wanted = finding.WARNING if name in MERELY_WARNED else finding.ERROR
        assert severity == wanted


def test_other_places_are_reported(tmp_path, monkeypatch):
    assert check.examine(tmp_path / "gone")[0].check == "no_folder"
    assert check.examine(tmp_path)[0].check == "unknown_layout"
    # Even what nobody thought of ends as a finding.
    monkeypatch.setattr(check.identity, "examine", lambda *_: 1 / 0)
    (tmp_path / "identity.json").write_text("")
    found = check.examine(tmp_path)
    assert found[0].check == "internal" and "ZeroDivisionError" in found[0].seen
    with pytest.raises(SystemExit):
        prepare.main(["--check=x", "--video=y"])
    with pytest.raises(SystemExit):
        prepare.main(["--video=y"])


def test_repeats_keep_their_numbers_next_to_an_unreadable_frame():
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 255, (6, 64, 64, 3), np.uint8)
    shown[5] = shown[4]
    repeats = pictures.Repeats()
    for index in (0, 1, 3, 4, 5):  # 2 cannot be read
        repeats.add(index, shown[index])
    assert repeats.repeated() == [5]
    assert not list(repeats.findings(np.arange(6) == 5, "frames", "remedy"))
    (found,) = repeats.findings(np.zeros(6, bool), "frames", "remedy")
    assert "1 of 5" in found.seen and found.remedy == "remedy"


def test_a_repeat_may_differ_by_what_a_codec_leaves():
    rng = np.random.default_rng(0)
    shown = rng.uniform(20, 235, (12, 64, 64, 3))
    shown[2::3] = shown[1::3] + rng.normal(0, 1.4, shown[1::3].shape)
    repeats = pictures.Repeats()
    for index, frame in enumerate(shown):
        repeats.add(index, frame.astype(np.uint8))
    assert repeats.repeated() == [2, 5, 8, 11]


def test_a_frame_without_a_face_may_have_no_labels(own):
    # As preparation leaves it: the person is masked, and nobody is labelled.
    black(own / "labels", 1)
    change_tracks(own, valid=np.arange(COUNT) > 0)
    assert not check.failed(check.examine(own))
