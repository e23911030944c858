"""Other sizes, frame rates and files than the run's own."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.avatar import frame_rate, motion
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.cli import render
from lokitalk_jax.data import clip_records
from lokitalk_jax.evaluation.metrics import psnr
from lokitalk_jax.media import picture_folder, video_reader

pytestmark = pytest.mark.usefixtures("in_process")


def moved(count):
    """Turns by 0.1 about y and moves by 1 mm a frame; lips count frames."""
    for index in range(count):
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3] = Rotation.from_rotvec([0, 0.1 * index, 0]).as_matrix()
        pose[2, 3] = 0.7 + 1e-3 * index
        yield FrameMotion(
            pose,
            structs.Signals(
                np.full(8, index, np.float32), np.zeros(2), np.zeros(6), np.zeros(12)
            ),
        )


@pytest.mark.parametrize("fps", [10, 25, 30, 50, 59.94])
def test_another_rate_shows_the_same_motion_at_its_own_times(fps):
    frames = list(frame_rate.at_rate(moved(20), fps))
    assert (
        len(frames)
        == frame_rate.count_at_rate(20, fps)
        == np.ceil(20 * fps / 25 - 1e-6)
    )
    for k, (pose, signals) in enumerate(frames):
        time = min(k * structs.FPS / fps, 19)  # the last frame is held
        np.testing.assert_allclose(signals.lip, time, atol=1e-4)
        turn = Rotation.from_matrix(pose[:3, :3]).as_rotvec()
        np.testing.assert_allclose(turn, [0, 0.1 * time, 0], atol=1e-5)
        assert pose[2, 3] == pytest.approx(0.7 + 1e-3 * time, abs=1e-6)


def test_no_motion_stays_none():
    assert list(frame_rate.at_rate(moved(0), 30)) == []


def test_a_larger_size_is_the_same_picture(tiny_run):
    small = OpenRun(tiny_run.workdir).avatar("demo_01")
    large = small.at(96)
    side = small.record.camera.height
    assert large.record.camera.shape == (96, 96)
    pose, signals = next(motion.tracked(small.record, [3]).frames())
    pictures = [
        np.clip(one.renderer(pose, signals, one.record.plate / 255).rgb, 0, 1)
        for one in (small, large)
    ]
    shrunk = cv2.resize(pictures[1], (side, side), interpolation=cv2.INTER_AREA)
    blank = np.clip(small.record.plate / 255, 0, 1).astype(np.float32)
    same = psnr.psnr(np.float32(pictures[0]), shrunk)
    assert same > psnr.psnr(np.float32(pictures[0]), blank) + 8 and same > 24


def test_sizes_keep_the_shape_and_what_is_seen(tiny_run):
    one = OpenRun(tiny_run.workdir).record("demo_00")
    camera = one.camera._replace(height=48, width=64)
    wide = one._replace(camera=camera, plate=np.zeros((48, 64, 3), np.uint8))
    half = clip_records.resized(wide, 32)
    assert (half.camera.shape, half.plate.shape) == ((24, 32), (24, 32, 3))
    np.testing.assert_allclose(half.camera.intrinsics, camera.intrinsics / 2, rtol=1e-6)
    with pytest.raises(ValueError, match="size=4 pixels is too small"):
        clip_records.resized(wide, 4)


def test_the_command_writes_pictures_at_a_size_and_rate(tiny_run, tmp_path, capsys):
    out = tmp_path / "pictures"
    flags = ["--frames=10:20", "--size=64", "--fps=50", "--background=none"]
    common = [f"--workdir={tiny_run.workdir}", "--identity=demo_01"]
    assert render.main([*common, *flags, f"--out={out}"]) == 0
    files = sorted(out.iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(20)]
    pictures = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    assert {picture.shape for picture in pictures} == {(64, 64, 4)}
    alpha = np.stack(pictures)[..., 3]
    assert alpha.std() > 1  # a model of 12 steps has no empty pixel yet
    assert b"synthetic media" in files[0].read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]

    assert render.main([*common, f"--out={out}"]) == 1
    assert "is there already; name a new folder" in capsys.readouterr().err


def test_pictures_that_fail_leave_nothing(tmp_path):
    with (
        pytest.raises(RuntimeError),
        picture_folder.PictureWriter(tmp_path / "x") as writer,
    ):
        writer.write(np.zeros((8, 8, 3), np.uint8))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no folder .*gone"):
        picture_folder.PictureWriter(tmp_path / "gone" / "x")


def test_sound_and_picture_last_as_long_at_another_rate(tiny_run, tmp_path):
    out = tmp_path / "x.mp4"
    common = [f"--workdir={tiny_run.workdir}", "--identity=demo_01"]
    assert render.main([*common, "--frames=10:20", "--fps=30", f"--out={out}"]) == 0
    assert len(list(video_reader.read_frames(out))) == 12


@pytest.mark.parametrize("flag", ["--fps=0", "--fps=1000"])
def test_rates_that_make_no_sense(tiny_run, flag, capsys):
    flags = [f"--workdir={tiny_run.workdir}", "--identity=demo_00", flag]
    assert render.main(flags) == 1
    assert f"{flag} must be from 1 to 120" in capsys.readouterr().err
