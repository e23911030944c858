import subprocess

import av
import imageio_ffmpeg
import numpy as np
import pytest
import video_files

from lokitalk_jax.media import video_reader, video_writer

FRAMES, RATE = 33, 16_000
SECONDS = FRAMES / 25


def picture(index, width=96, height=64):
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 15 + index / 9), np.sin(y / 13), np.cos((x + y) / 20)]
    return (128 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def tone(seconds):
    time = np.arange(int(RATE * seconds)) / RATE
    return 0.5 * np.sin(2 * np.pi * 440 * time)


def decoded_audio(path):
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        planes = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(planes, axis=-1)[0], rate


def test_frames_survive_the_round_trip(tmp_path):
    path = tmp_path / "x.mp4"
    with video_writer.VideoWriter(path, size=(96, 64)) as video:
        for index in range(FRAMES):
            video.write(picture(index))
    frames = list(video_reader.read_frames(path))
    assert len(frames) == FRAMES
    for index in (0, 16, 32):
        difference = frames[index].astype(int) - picture(index)
        assert np.abs(difference).mean() < 3
        # A wrong matrix or range would shift a channel by several levels.
        assert np.all(np.abs(difference.mean(axis=(0, 1))) < 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("seconds", [SECONDS / 2, SECONDS * 2])
def test_sound_lasts_as_long_as_the_pictures(tmp_path, seconds):
    path = tmp_path / "x.mp4"
    sound = (tone(seconds), RATE)
    with video_writer.VideoWriter(path, size=(96, 64), audio=sound) as video:
        for index in range(FRAMES):
            video.write(picture(index))
    with av.open(str(path)) as container:
        for stream in container.streams:
            duration = float(stream.duration * stream.time_base)
            assert duration == pytest.approx(SECONDS, abs=0.001)
            assert stream.start_time == 0
        assert container.streams.video[0].average_rate == 25
    heard, rate = decoded_audio(path)
    power = np.abs(heard)
    sounding = int(min(seconds, SECONDS) * rate)
    assert power[rate // 10 : sounding - rate // 10].mean() > 0.2
    assert power[sounding + rate // 10 :].sum() < 1e-2 * power.sum()


def test_sound_from_a_file_keeps_its_place(tmp_path):
    burst = np.zeros(RATE, np.float32)
    burst[RATE // 2 : RATE // 2 + 400] = 0.8
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    for path, sound in (first, (burst, RATE)), (second, first):
        with video_writer.VideoWriter(path, size=(32, 32), audio=sound) as video:
            for index in range(25):
                video.write(picture(index, 32, 32))
    heard, rate = decoded_audio(second)
    onset = np.argmax(np.abs(heard) > 0.3) / rate
    assert onset == pytest.approx(0.5, abs=0.04)


def test_both_channels_keep_their_place_in_time(tmp_path):
    burst = np.zeros((2 * RATE, 2), np.int16)
    burst[RATE // 2 : RATE // 2 + 400, 0] = 20_000
    burst[RATE : RATE + 400, 1] = 20_000
    path = tmp_path / "x.mp4"
    with video_writer.VideoWriter(path, size=(32, 32), audio=(burst, RATE)) as video:
        for index in range(50):
            video.write(picture(index, 32, 32))
    with av.open(str(path)) as container:
        sound = [frame.to_ndarray() for frame in container.decode(audio=0)]
    left, right = np.abs(np.concatenate(sound, axis=-1)) > 0.2
    assert np.argmax(left) / 48_000 == pytest.approx(0.5, abs=0.04)
    assert np.argmax(right) / 48_000 == pytest.approx(1.0, abs=0.04)


def test_sound_that_begins_late_in_its_file_stays_late(tmp_path):
    frames = [picture(i, 32, 32) for i in range(25)]
    source = video_files.encode(
        tmp_path / "late.mkv",
        frames,
        np.arange(25) / 25,
        np.sin(np.arange(22_050) / 9)[None],
        sound_start=0.4,
    )
    path = tmp_path / "x.mp4"
    with video_writer.VideoWriter(path, size=(32, 32), audio=source) as video:
        for frame in frames:
            video.write(frame)
    samples, rate = decoded_audio(path)
    onset = np.argmax(np.abs(samples) > 0.2) / rate
    assert onset == pytest.approx(0.4, abs=0.04)


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path):
    path = tmp_path / "x.mp4"
    with video_writer.VideoWriter(path, size=(95, 63)) as video:
        video.write(picture(0, 95, 63))
    (frame,) = video_reader.read_frames(path)
    assert frame.shape == (64, 96, 3)
    assert np.abs(frame[:63, :95].astype(int) - picture(0, 95, 63)).mean() < 3
    assert np.abs(frame[63].astype(int) - frame[62]).mean() < 4


@pytest.mark.parametrize("name", ["x.mov", "x.webm"])
def test_alpha_is_kept(tmp_path, name):
    path = tmp_path / name
    ramp = np.broadcast_to(np.linspace(0, 255, 96), (65, 96)).astype(np.uint8)
    frame = np.dstack([picture(0, 96, 65), ramp])
    with video_writer.VideoWriter(
        path, size=(96, 65), alpha=True, audio=(tone(1), RATE)
    ) as video:
        for _ in range(3):
            video.write(frame)
    # The decoder FFmpeg takes for VP9 by itself drops alpha.
    decoder = ["-c:v", "libvpx-vp9"] if name.endswith("webm") else []
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *decoder]
    command += ["-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(3, 65, 96, 4).astype(int)
    assert np.abs(frames[1, ..., 3] - ramp).mean() < 2
    assert np.abs(frames[1, ..., :3] - frame[..., :3]).mean() < 4
    if name.endswith("webm"):  # where browsers look for it
        with av.open(str(path)) as container:
            assert container.streams.video[0].metadata["ALPHA_MODE"] == "1"


def test_only_synthetic_videos_say_so(tmp_path):
    for synthetic in (True, False):
        path = tmp_path / f"{synthetic}.mp4"
        with video_writer.VideoWriter(
            path, size=(32, 32), synthetic=synthetic
        ) as video:
            video.write(picture(0, 32, 32))
        with av.open(str(path)) as container:
            marked = "synthetic media" in container.metadata.get("comment", "")
        assert marked == synthetic


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 96, 3), np.float32),
        np.zeros((96, 64, 3), np.uint8),
        np.zeros((64, 96, 4), np.uint8),
    ],
)
def test_a_wrong_frame_is_refused_and_leaves_nothing(tmp_path, frame):
    path = tmp_path / "x.mp4"
    path.write_text("what was here before")
    with pytest.raises(ValueError, match="frame 1 of .*takes uint8"):
        with video_writer.VideoWriter(path, size=(96, 64)) as video:
            video.write(picture(0))
            video.write(frame)
    assert path.read_text() == "what was here before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path, frames):
    """One frame reaches the file when it is closed, many fail before."""
    resource = pytest.importorskip("resource")  # not on Windows
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "x.mp4"
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OSError, match="could not write .*x.mp4 after"):
            with video_writer.VideoWriter(path, size=(256, 256)) as video:
                for index in range(frames):
                    video.write(np.roll(noise, index, 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_no_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no frame was written"):
        with video_writer.VideoWriter(tmp_path / "x.mp4", size=(96, 64)):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x.mp4", {"alpha": True}, r"use one of \.mov, \.webm"),
        ("x.avi", {}, r"use one of \.mp4, \.mov"),
        ("nowhere/x.mp4", {}, "make it first"),
        ("x.mp4", {"size": (0, 64)}, "at least"),
        ("x.mp4", {"fps": 0}, "positive rate"),
        ("x.mp4", {"audio": "no.wav"}, "no such file"),
        ("x.mp4", {"audio": (np.zeros(0, np.float32), RATE)}, "at least one sample"),
        ("x.mp4", {"audio": (np.zeros(9, np.int64), RATE)}, "int16 or floats"),
        ("x.mp4", {"audio": (np.zeros((9, 6), np.int16), RATE)}, r"\[T, 2\]"),
    ],
)
def test_what_cannot_be_written_is_refused_first(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        video_writer.VideoWriter(tmp_path / name, **{"size": (96, 64), **options})
    assert not list(tmp_path.iterdir())


def test_a_silent_file_is_no_source_of_sound(tmp_path):
    silent = tmp_path / "silent.mp4"
    with video_writer.VideoWriter(silent, size=(32, 32)) as video:
        video.write(picture(0, 32, 32))
    with pytest.raises(ValueError, match="holds no audio stream"):
        video_writer.VideoWriter(tmp_path / "x.mp4", size=(32, 32), audio=silent)


def test_reading_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        next(video_reader.read_frames(tmp_path / "x.mp4"))
    (tmp_path / "x.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="not a video"):
        next(video_reader.read_frames(tmp_path / "x.mp4"))


@pytest.mark.parametrize("name", ["take 12:30.mp4", "-x.mp4", "50%d é.mp4"])
def test_any_name_is_written_and_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with video_writer.VideoWriter(name, size=(32, 32)) as video:
        video.write(picture(0, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(list(video_reader.read_frames(name))) == 1
