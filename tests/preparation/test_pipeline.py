import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import av
import clips
import cv2
import numpy as np
import pytest
import video_files
from scipy import signal as signal_processing
from scipy.io import wavfile

from lokitalk_jax import structs
from lokitalk_jax.cli import prepare as command
from lokitalk_jax.data import folder, layout
from lokitalk_jax.preparation import pipeline, source_video, survey, timeline
from lokitalk_jax.preparation.options import Options

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIPS = clips.CLIPS / "dev"
needs_clips = [
    pytest.mark.clips,
    pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no development clips at {CLIPS}"),
]
SIZE = 96


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    # The face mesh inside the mediapipe package: nothing is fetched in a test.
    monkeypatch.setattr(pipeline.face_model, "find", lambda path: None)


def read_clip(name, begin, end, size):
    """Frames [begin, end) of a development clip."""
    with av.open(str(CLIPS / f"{name}.mp4")) as container:
        frames = []
        for i, frame in enumerate(container.decode(video=0)):
            if begin <= i < end:
                frames.append(
                    frame.to_ndarray(
                        format="rgb24", width=size, height=size, interpolation="AREA"
                    )
                )
            elif i >= end:
                break
        return frames


def read_sound(name, begin, end):
    """Sound of the same frames, 44.1 kHz stereo."""
    rate, sound = wavfile.read(CLIPS / f"{name}.wav")
    sound = sound[begin * rate // structs.FPS : end * rate // structs.FPS] / 32768
    sound = signal_processing.resample_poly(sound, 441, 160)
    return np.stack([sound, sound])


def run(video_path, out, **options):
    options = {"size": SIZE, "audio": False} | options
    return pipeline.prepare(video_path, out, Options(**options), workers=2)


@pytest.fixture(scope="module")
def phone_video(tmp_path_factory):
    """Upright film stored lying down, 30 fps holding 25, sound 0.1 s late."""
    place = tmp_path_factory.mktemp("phone")
    small = read_clip("speaker_b", 100, 185, 200)
    frames = []
    for picture in small:
        canvas = np.full((640, 360, 3), 90, np.uint8)
        canvas[150:350, 60:260] = picture
        frames.append(np.rot90(canvas, -1))
    shown = np.arange(102) * 5 // 6
    path = video_files.encode(
        place / "lying.mp4",
        [frames[i] for i in shown],
        np.arange(102) / 30,
        read_sound("speaker_b", 100, 185),
        sound_start=0.1,
    )
    turned = place / "me.mp4"
    video_files.ffmpeg("-display_rotation", 90, "-i", path, "-c", "copy", turned)
    return turned


@pytest.fixture(scope="module")
def phone_folder(phone_video):
    out = phone_video.parent / "me"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.face_model, "find", lambda path: None)
        run(phone_video, out, audio=True)
    return folder.IdentityFolder(out)


@pytest.fixture(scope="module")
def plain_video(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "a.mp4"
    frames = read_clip("speaker_a", 0, 80, 128)
    return video_files.encode(path, frames, np.arange(80) / 25)


class TestPhoneVideo:
    pytestmark = needs_clips

    def test_contents_agree_with_each_other(self, phone_folder):
        meta, tracks = phone_folder.meta, phone_folder.tracks()
        assert (meta.height, meta.width, meta.frame_count) == (SIZE, SIZE, 85)
        assert meta.train_frames == 77
        assert meta.focal == pytest.approx(1400 * SIZE / 512)
        assert meta.principal == (SIZE / 2, SIZE / 2)
        assert meta.quality["reprojection_px"] < 1.5
        assert tracks.valid.all() and not tracks.duplicate.any()
        for name, value in tracks._asdict().items():
            assert value is None or len(value) == 85, name
        assert phone_folder.plate().shape == (SIZE, SIZE, 3)
        assert 0.1 < meta.quality["plate_seen"] < 0.9
        mask, labels = phone_folder.mask(40), phone_folder.labels(40)
        np.testing.assert_array_equal(mask > 127, labels > layout.BACKGROUND)
        nose = np.floor(tracks.landmarks[40, 1, :2]).astype(int)
        assert labels[nose[1], nose[0]] == layout.HEAD
        assert labels[-1, SIZE // 2] == layout.TORSO
        assert not list(phone_folder.path.rglob(".*"))

    def test_head_and_shoulders_fill_the_frame_upright(self, phone_folder):
        points = phone_folder.tracks().landmarks[:, :, :2]
        assert (points > 0.05 * SIZE).all() and (points < 0.95 * SIZE).all()
        height = np.median(np.ptp(points[..., 1], axis=1))
        assert 0.3 * SIZE < height < 0.6 * SIZE
        assert (points[:, 152, 1] - points[:, 10, 1] > 0.25 * SIZE).all()

    def test_sound_is_late_by_as_much_as_in_the_video(self, phone_folder):
        rate, sound = wavfile.read(phone_folder.audio_path)
        assert (rate, len(sound)) == (16_000, 85 * 640)
        expected = signal_processing.resample_poly(
            read_sound("speaker_b", 100, 185)[0], 160, 441
        )
        expected, sound = expected[: len(sound)], sound[: len(expected)] / 32768
        lags = np.arange(-3200, 3201)
        middle = slice(8000, 40_000)
        match = [np.dot(np.roll(expected, k)[middle], sound[middle]) for k in lags]
        assert lags[np.argmax(match)] == pytest.approx(0.1 * rate, abs=20)

    def test_preview_has_every_frame_and_sound(self, phone_folder):
        with av.open(str(phone_folder.path / "preview.mp4")) as preview:
            assert preview.streams.video[0].frames == 85
            assert len(preview.streams.audio) == 1

    def test_finished_folder_is_left_alone(self, phone_video, phone_folder):
        manifest = phone_folder.path / "identity.json"
        before = manifest.stat().st_mtime_ns
        assert run(phone_video, phone_folder.path, audio=True) == phone_folder.meta
        assert manifest.stat().st_mtime_ns == before

    @pytest.mark.parametrize("other", [{"size": 64}, {"crop": "none"}, {"start": 0.1}])
    def test_other_options_are_another_identity(self, phone_video, phone_folder, other):
        with pytest.raises(ValueError, match=f"another identity.*{next(iter(other))}"):
            run(phone_video, phone_folder.path, **({"audio": True} | other))
        assert folder.IdentityFolder(phone_folder.path).meta == phone_folder.meta


def contents(path):
    return {
        str(p.relative_to(path)): p.stat().st_mtime_ns
        for p in path.rglob("*")
        if p.is_file() and not any(q.startswith(".") for q in p.relative_to(path).parts)
    }


class TestInterruptions:
    pytestmark = needs_clips

    def test_killed_run_continues(self, plain_video, tmp_path):
        out = tmp_path / "a"
        arguments = [f"--video={plain_video}", f"--out={out}", f"--size={SIZE}"]
        code = (
            "import sys\n"
            "from lokitalk_jax.cli import prepare\n"
            "from lokitalk_jax.preparation import pipeline\n"
            "pipeline.face_model.find = lambda path: None\n"
            "sys.exit(prepare.main(sys.argv[1:]))\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--no-audio", "--workers=1"],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        while len(list(out.glob("labels/0*"))) < 5:
            assert child.poll() is None, "finished before it could be killed"
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        before = contents(out)
        assert "identity.json" not in before
        (out / "frames" / ".000099-x.jpg").write_bytes(b"half")

        meta = run(plain_video, out)
        after = contents(out)
        # The frame under way has its mask before its labels, and is written again.
        done = {
            pathlib.Path(name).name for name in before if name.startswith("labels/")
        }
        again = {n for n in before if n.startswith("masks/") and n[6:] not in done}
        assert len(again) <= 1
        kept = [name for name in before if name not in again | {"tracks.npz"}]
        assert len([name for name in kept if name.startswith("frames/")]) == 80
        assert {name: after[name] for name in kept} == {n: before[n] for n in kept}
        assert len(list(out.glob("labels/*"))) == meta.frame_count == 80
        assert not list(out.rglob(".*"))

    def test_full_disk_leaves_nothing_half_written(
        self, plain_video, tmp_path, monkeypatch, capsys
    ):
        out = tmp_path / "a"
        write = pathlib.Path.write_bytes
        room = [50]

        def write_bytes(self, data):
            room[0] -= 1
            if room[0] < 0:
                write(self, data[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, data)

        monkeypatch.setattr(pathlib.Path, "write_bytes", write_bytes)
        arguments = [f"--video={plain_video}", f"--out={out}", "--size=96"]
        assert command.main([*arguments, "--no-audio"]) == 1
        assert "disk is full" in capsys.readouterr().err
        assert not (out / "identity.json").exists()
        frames = sorted((out / "frames").iterdir())
        assert len(frames) == 50
        assert all(cv2.imread(str(path)) is not None for path in frames)


def refused(video_path, out, match, **options):
    with pytest.raises(ValueError, match=match):
        run(video_path, out, **options)
    assert not out.exists()


class TestRefusals:
    @pytest.fixture
    def faceless(self, tmp_path):
        frames = [video_files.blob(30 + i / 4, 36) for i in range(80)]
        return video_files.encode(tmp_path / "v.mp4", frames, np.arange(80) / 25)

    def test_no_face(self, faceless, tmp_path):
        refused(faceless, tmp_path / "o", "no face was found in 100%")

    def test_no_sound(self, faceless, tmp_path):
        refused(
            faceless, tmp_path / "o", "no audio stream; pass audio=False", audio=True
        )

    def test_sound_that_cannot_be_decoded(self, faceless, tmp_path):
        frames = [video_files.blob(30, 36)] * 80
        sound = np.zeros((1, 3 * 44_100), np.float32)
        path = video_files.encode(tmp_path / "s.mp4", frames, np.arange(80) / 25, sound)
        contents = path.read_bytes().replace(b"mp4a", b"apac", 1)
        path.write_bytes(contents.replace(b"esds", b"dapa", 1))
        out = tmp_path / "o"
        refused(path, out, "can be decoded.*prepare the video with audio=F", audio=True)
        # Without sound, it is refused for its lack of a face alone.
        refused(path, out, "no face was found")

    def test_a_cut_off_file(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 255, (80, 32, 32, 3), np.uint8)
        whole, front = tmp_path / "v.mp4", tmp_path / "front.mp4"
        video_files.encode(whole, list(noise), np.arange(80) / 25)
        video_files.ffmpeg("-i", whole, "-c", "copy", "-movflags", "+faststart", front)
        front.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
        refused(
            front, tmp_path / "o", r"front.mp4 is cut off after 1\.\d+ s of 3\.\d+ s"
        )

    def test_folder_with_other_things(self, faceless, tmp_path):
        out = tmp_path / "photos"
        out.mkdir()
        (out / "cat.jpg").write_bytes(b"cat")
        with pytest.raises(ValueError, match="not an identity's"):
            run(faceless, out)
        assert (out / "cat.jpg").read_bytes() == b"cat"

    def test_begun_folder_of_another_video(self, faceless, tmp_path):
        out = tmp_path / "o"
        (out / ".prepare").mkdir(parents=True)
        (out / ".prepare" / "manifest.json").write_text(
            json.dumps({"name": "other.mp4", "sha256": "0"})
        )
        with pytest.raises(ValueError, match="another identity, of other.mp4"):
            run(faceless, out)
        assert (out / ".prepare" / "manifest.json").exists()

    def test_command_says_why_and_fails(self, faceless, tmp_path, capsys):
        missing = tmp_path / "nobody.mp4"
        assert command.main([f"--video={missing}", f"--out={tmp_path / 'o'}"]) == 1
        assert f"no such file: {missing}" in capsys.readouterr().err
        twins = [f"--video={tmp_path / d / 'v.mp4'}" for d in ("p", "q")]
        assert command.main([*twins, f"--out={tmp_path / 'o'}"]) == 1
        assert "several videos are named v" in capsys.readouterr().err
        assert not (tmp_path / "o").exists()

    def test_too_many_faceless_frames_between_the_samples(self, tmp_path, monkeypatch):
        frames = [video_files.blob(30 + i / 4, 36) for i in range(80)]
        path = video_files.encode(tmp_path / "v.mp4", frames, np.arange(80) / 25)

        def look(clip, options, model, progress):
            found = survey.look(clip, lambda rgb: [], 0.0, None)
            return found._replace(
                boxes=np.tile(np.float32([20, 20, 50, 60]), (len(found.boxes), 1))
            )

        monkeypatch.setattr(pipeline, "_look", look)
        refused(path, tmp_path / "o", "no face was found in 100%", crop="none")

    def test_a_model_that_does_not_load_costs_no_work(
        self, faceless, tmp_path, monkeypatch
    ):
        out = tmp_path / "o"
        broken = tmp_path / "face.task"
        broken.write_bytes(b"no model")

        def look(clip, options, model, progress):
            found = survey.look(clip, lambda rgb: [], 0.0, None)
            return found._replace(boxes=np.zeros_like(found.boxes))

        monkeypatch.setattr(pipeline, "_look", look)
        monkeypatch.setattr(pipeline.face_model, "find", lambda path: broken)
        with pytest.raises(ValueError, match="not a FaceLandmarker model"):
            run(faceless, out, crop="none")
        assert len(list(out.glob("frames/*.jpg"))) == 80

    @pytest.mark.clips
    @pytest.mark.skipif(not CLIPS.is_dir(), reason="no development clips")
    def test_two_people(self, tmp_path):
        pair = zip(
            read_clip("speaker_a", 0, 76, 160),
            read_clip("speaker_b", 0, 76, 160),
            strict=True,
        )
        frames = [np.hstack(both) for both in pair]
        path = video_files.encode(tmp_path / "v.mp4", frames, np.arange(76) / 25)
        refused(path, tmp_path / "o", "several faces of similar size")

    @pytest.mark.clips
    @pytest.mark.skipif(not CLIPS.is_dir(), reason="no development clips")
    def test_a_jump_within_one_scene(self, tmp_path):
        frames = read_clip("speaker_d", 0, 260, 160)
        frames = frames[:40] + frames[200:]
        path = video_files.encode(
            tmp_path / "v.mp4", frames, np.arange(len(frames)) / 25
        )
        refused(path, tmp_path / "o", r"cut .* at 1\.60 s; .*start=1\.60 end=4\.00")


@pytest.mark.clips
@pytest.mark.skipif(not CLIPS.is_dir(), reason="no development clips")
def test_repeats_of_a_real_clip_are_flagged():
    # Its frames were counted: 33 of 165 repeat the one before.
    clip = source_video.probe(CLIPS / "speaker_e.mp4")
    found = survey.look(clip, lambda rgb: [], 0.0, None)
    grid = timeline.lay_out(found.times, found.changes)
    assert len(grid.source) == 165 and grid.duplicate.sum() == 33
