import os
import signal
import subprocess
import sys
import time

import clips
import msgspec
import numpy as np
import pytest
import test_pipeline
import tiny_folder
import video_files

import lokitalk_jax as lokitalk
from lokitalk_jax.cli import prepare as command
from lokitalk_jax.data import folder, layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.preparation import batch

SIZE = 96
OPTIONS = lokitalk.PrepareOptions(size=SIZE, audio=False)


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    # In a process of its own too, the face mesh is used and nothing is fetched.
    monkeypatch.setattr(batch.pipeline.face_model, "find", lambda path=None: None)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")


def blobs(path, count=80):
    frames = [video_files.blob(30 + i / 4, 36) for i in range(count)]
    return video_files.encode(path, frames, np.arange(count) / 25)


def people(path, name, *ranges):
    """A video of frames [begin, end) of a development clip, one after another."""
    frames = [
        picture
        for begin, end in ranges
        for picture in test_pipeline.read_clip(name, begin, end, 128)
    ]
    return video_files.encode(path, frames, np.arange(len(frames)) / 25)


def test_videos_of_a_folder_and_of_a_list(tmp_path):
    for name in ("b.MP4", "a.webm", "notes.md", "c.wav", ".d.csv"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "more").mkdir()
    found = batch.find_videos(tmp_path)
    assert [path.name for path in found] == ["a.webm", "b.MP4"]
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\nb.MP4\n\n{tmp_path}/else where.mp4\n")
    assert batch.find_videos(listed) == [
        tmp_path / "b.MP4",
        tmp_path / "else where.mp4",
    ]
    with pytest.raises(ValueError, match="holds no video"):
        batch.find_videos(tmp_path / "more")


def test_unusable_videos_are_reported_and_leave_nothing(tmp_path, capsys):
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    blobs(tmp_path / "blob.mp4")
    out = tmp_path / "data"
    flags = [f"--video={tmp_path}", f"--out={out}", "--size=96", "--no-audio"]
    assert command.main(flags) == 1
    printed = capsys.readouterr().out
    assert "blob.mp4: refused: blob.mp4: no face was found in 100%" in printed
    assert "torn.mp4: refused: " in printed and "cannot be decoded" not in printed
    assert printed.splitlines()[-1].startswith("0 prepared, 2 refused")
    assert not list(out.glob("*"))


def test_a_crash_is_a_refusal_with_its_status(tmp_path, monkeypatch):
    video = blobs(tmp_path / "blob.mp4", 3)
    monkeypatch.setattr(batch.sys, "executable", "/bin/false")
    [one] = lokitalk.prepare_all([video], tmp_path / "data", OPTIONS)
    assert one.refusal == "its process ended with status 1"


def test_sound_that_cannot_be_put_in_step_is_a_refusal_of_that_folder(
    tmp_path, monkeypatch
):
    def prepared(outs, *_):
        for video, out in outs.items():
            made = tiny_folder.write(out, frames=11)
            if video.stem == "a":  # was corrected by another offset
                quality = {"audio_offset_ms": 40}
                meta = msgspec.structs.replace(made.meta, quality=quality)
                FolderWriter(out).write_meta(meta)
            yield batch.Outcome(video, out, "", 0.0)

    monkeypatch.setattr(batch, "prepare", prepared)
    found = lokitalk.prepare_all(["a.mp4", "b.mp4"], tmp_path, audio_offset=120)
    first, second = (one.refusal for one in found)
    assert "audio_offset=120: the sound of" in first and second == ""


def test_two_videos_of_one_name(tmp_path):
    with pytest.raises(ValueError, match="several videos are named v"):
        lokitalk.prepare_all(["p/v.mp4", "q/v.avi"], tmp_path)
    with pytest.raises(ValueError, match="videos is empty"):
        lokitalk.prepare_all([], tmp_path)
    with pytest.raises(ValueError, match="at_once=0"):
        lokitalk.prepare_all(["p/v.mp4"], tmp_path, at_once=0)


@pytest.mark.clips
@pytest.mark.skipif(not clips.CLIPS.is_dir(), reason="no development clips")
def test_a_folder_is_prepared_trimmed_and_left_alone_when_it_is_complete(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "data"
    videos.mkdir()
    people(videos / "whole.mp4", "speaker_a", (0, 80))
    people(videos / "cut.mp4", "speaker_d", (0, 40), (180, 262))
    blobs(videos / "blob.mp4")
    reports = []
    found = list(
        lokitalk.prepare_all(
            videos, out, OPTIONS, progress=lambda *report: reports.append(report)
        )
    )
    assert reports[-1][:3] == ("preparing", 3, 3)
    refusals = {one.video.stem: one.refusal for one in found}
    assert refusals.pop("blob") and refusals == {"whole": "", "cut": ""}
    assert folder.IdentityFolder(out / "whole").meta.frame_count == 80
    trimmed = folder.IdentityFolder(out / "cut").meta
    assert trimmed.frame_count == 82
    assert trimmed.source["stretch"] == pytest.approx([1.6, 4.88])
    assert {path.name for path in out.iterdir()} == {"whole", "cut"}

    before = test_pipeline.contents(out)
    again = {o.video.stem: o for o in lokitalk.prepare_all(videos, out, OPTIONS)}
    assert not again["whole"].refusal and again["whole"].seconds < 5
    assert test_pipeline.contents(out) == before


@pytest.mark.heavy
@pytest.mark.clips
@pytest.mark.skipif(not clips.CLIPS.is_dir(), reason="no development clips")
def test_killed_run_leaves_no_process_and_continues(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "data"
    videos.mkdir()
    people(videos / "a.mp4", "speaker_a", (0, 80))
    flags = [f"--video={videos}", f"--out={out}", f"--size={SIZE}", "--no-audio"]
    started = subprocess.Popen(
        [sys.executable, "-m", "lokitalk_jax", "prepare", *flags],
        cwd=test_pipeline.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    labels = out / "a" / layout.LABELS
    while len(list(labels.glob("0*"))) < 5:
        assert started.poll() is None, "finished before it could be killed"
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    time.sleep(3)
    halfway = len(list(labels.glob("0*")))
    time.sleep(1)
    assert len(list(labels.glob("0*"))) == halfway < 80
    [one] = lokitalk.prepare_all(videos, out, OPTIONS)
    assert not one.refusal and layout.is_identity(out / "a")
