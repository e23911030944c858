"""REST: people, uploads, jobs and files."""

import errno
import logging
import socket
import time

import numpy as np
import pytest
import scipy.io.wavfile
import tiny_folder
import video_files

from lokitalk_jax.studio import uploads


def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "said.wav"
    wave = np.sin(np.arange(16000) / 9).astype(np.float32)
    scipy.io.wavfile.write(path, 16000, wave)
    return path.read_bytes()


def test_a_clip_is_kept_and_prepared(studio, scripts, tmp_path):
    pictures = [video_files.blob(40 + at, 30) for at in range(4)]
    video = video_files.encode(tmp_path / "me.mp4", pictures, np.arange(4) / 25)
    status, answer = studio.post("/api/people/me/clip?file=x.mp4", video.read_bytes())
    assert (status, answer) == (201, {"name": "me"})
    scripts["prepare"] = "report('frames', 4, 4)"
    status, answer = studio.post("/api/people/me/prepare", {"start": 1.5, "end": None})
    assert status == 202
    assert answer["command"] == (
        "lokitalk prepare --video=clips/me.mp4 --out=data/me --start=1.5"
    )
    assert studio.wait(answer["job"], "done")["person"] == "me"
    (person,) = studio.get("/api/state")[1]["people"]
    assert person["clip"] and not person["prepared"] and person["run"] is None
    status, body = studio.get("/files/clip/me", range="bytes=0-9")
    assert status == 206 and body == video.read_bytes()[:10]


def test_another_clip_or_stretch_begins_anew(studio, scripts, tmp_path):
    pictures = [video_files.blob(40 + at, 30) for at in range(4)]
    video = video_files.encode(tmp_path / "me.mp4", pictures, np.arange(4) / 25)
    clip, prepare = "/api/people/me/clip?file=x.mp4", "/api/people/me/prepare"
    begun = studio.root / "data" / "me" / "begun"
    # As a command does that is stopped halfway.
    scripts["prepare"] = f"""
import pathlib
path = pathlib.Path({str(begun)!r})
path.parent.mkdir(parents=True, exist_ok=True)
open(path, 'a').write('x')
"""

    def prepared(**given):
        job = studio.post(prepare, given)[1]["job"]
        studio.wait(job, "done")
        return begun.read_text()

    assert studio.post(clip, video.read_bytes())[0] == 201
    assert [prepared(), prepared(), prepared(end=2)] == ["x", "xx", "x"]
    assert studio.post(clip, video.read_bytes())[0] == 201
    assert not begun.parent.exists()

    tiny_folder.write(begun.parent)
    status, answer = studio.post(clip, b"x")
    assert status == 409 and "choose another name" in answer["error"]
    assert begun.parent.exists()


def test_a_second_request_leaves_a_running_preparation_its_folder(studio, scripts):
    begun = studio.root / "data" / "me" / "begun"
    (studio.root / "clips" / "me.mp4").touch()
    scripts["prepare"] = """
os.makedirs('data/me')
open('data/me/begun', 'w').close()
report('frames', 1, 4)
time.sleep(60)
"""
    job = studio.post("/api/people/me/prepare")[1]["job"]
    until(lambda: studio.job(job)["stages"])
    status, answer = studio.post("/api/people/me/prepare", {"end": 2})
    assert status == 422 and "running already; stop it first" in answer["error"]
    assert begun.exists()


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/people/me/clip?file=x.mp4", b"no video at all", 422, "the file"),
        ("/api/people/me/clip?file=x.txt", b"text", 415, "a .txt file cannot be used"),
        ("/api/people/me/clip?file=x.mp4", b"", 422, "empty"),
        ("/api/people/a%20b/clip?file=x.mp4", b"x", 422, "must be 1 to 64 letters"),
        ("/api/sounds?file=x.wav", b"no sound", 422, "the file"),
    ],
)
def test_files_that_cannot_be_used_leave_nothing(studio, path, body, status, words):
    found, answer = studio.post(path, body)
    assert found == status and words in answer["error"]
    assert str(studio.root) not in answer["error"]
    assert not [p for p in studio.root.rglob("*") if p.is_file()]


def test_a_large_upload_is_cut_off(studio, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    status, answer = studio.post("/api/people/me/clip?file=x.mp4", bytes(5000))
    assert status == 413 and "larger than" in answer["error"]
    assert not list((studio.root / "clips").iterdir())


def test_an_upload_that_breaks_off_leaves_neither_a_file_nor_a_traceback(
    studio, caplog
):
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    clips = studio.root / "clips"
    try:
        with socket.create_connection(("127.0.0.1", studio.port)) as connection:
            connection.sendall(
                b"POST /api/people/me/clip?file=me.mp4 HTTP/1.1\r\n"
                b"Host: localhost\r\nContent-Length: 9\r\n\r\nxyz"
            )
            until(lambda: any(clips.iterdir()))
        until(lambda: not any(clips.iterdir()))
        time.sleep(0.3)
    finally:
        log.removeHandler(caplog.handler)
    assert "Traceback" not in caplog.text


def test_a_full_disk_is_said(studio, monkeypatch):
    async def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_write", full)
    status, answer = studio.post("/api/people/me/clip?file=x.mp4", b"x")
    assert status == 507 and "disk is full" in answer["error"]


def test_training_needs_consent_and_numbers(studio, scripts):
    tiny_folder.write(studio.root / "data" / "me")
    scripts["train"] = "pass"
    ask = "/api/people/me/train"
    assert "consent" in studio.post(ask, {"preset": "draft"})[1]["error"]
    given = {"preset": "draft", "consent": True}
    assert "none of draft" in studio.post(ask, given | {"preset": "x"})[1]["error"]
    for fields in {"data.root": "/etc"}, {"train.steps": "1;x"}, {"prior": 3}:
        assert studio.post(ask, given | {"fields": fields})[0] == 422
    status, answer = studio.post(ask, given | {"fields": {"train.steps": 30}})
    assert status == 202
    assert answer["command"].startswith(
        "lokitalk train --config=single_id:draft --workdir=runs/me"
    )
    assert "--config.train.steps=30" in answer["command"]
    assert studio.post("/api/people/you/train", given)[0] == 422


def test_an_avatar_of_another_preset_is_kept(studio, scripts):
    tiny_folder.write(studio.root / "data" / "me")
    scripts["train"] = """
os.makedirs('runs/me/checkpoints/7', exist_ok=True)
"""

    def trained(preset):
        given = {"preset": preset, "consent": True}
        job = studio.post("/api/people/me/train", given)[1]["job"]
        studio.wait(job, "done")
        return sorted(p.name for p in (studio.root / "runs").iterdir())

    assert trained("draft") == trained("draft") == ["me"]
    assert trained("standard") == ["me", "me-draft"]
    assert trained("draft") == ["me", "me-draft", "me-standard"]
    assert trained("full") == ["me", "me-draft", "me-draft-2", "me-standard"]


def test_an_avatar_that_speaks_keeps_its_name(studio, scripts, sound):
    tiny_folder.write(studio.root / "data" / "me")
    scripts["train"] = "os.makedirs('runs/me/checkpoints/7', exist_ok=True)"
    scripts["speak"] = "time.sleep(60)"
    draft = {"preset": "draft", "consent": True}
    studio.wait(studio.post("/api/people/me/train", draft)[1]["job"], "done")
    key = studio.post("/api/sounds?file=said.wav", sound)[1]["sound"]
    speaking = studio.post("/api/people/me/speak", {"sound": key})[1]["job"]
    full = draft | {"preset": "full"}
    status, answer = studio.post("/api/people/me/train", full)
    assert status == 409 and "the avatar of me is speaking" in answer["error"]
    assert [path.name for path in (studio.root / "runs").iterdir()] == ["me"]
    assert studio.post(f"/api/jobs/{speaking}/stop")[0] == 200
    studio.wait(speaking, "stopped")
    assert studio.post("/api/people/me/train", full)[0] == 202


def test_an_avatar_speaks_an_uploaded_sound(studio, scripts, sound, spoken_run):
    (studio.root / "runs" / "me").symlink_to(spoken_run.workdir)
    key = studio.post("/api/sounds?file=said.wav", sound)[1]["sound"]
    scripts["speak"] = "pass"
    given = {"sound": key, "identity": spoken_run.name, "gain": {"lip": 1.5, "eye": 1}}
    status, answer = studio.post("/api/people/me/speak", given)
    assert status == 202
    assert f"--audio=sounds/{key}.wav" in answer["command"]
    assert "--gain=lip:1.5" in answer["command"]
    assert f"--out=speech/{answer['job']}.mp4" in answer["command"]
    assert f"--latest-frame=speech/{answer['job']}.jpg" in answer["command"]
    for wrong in {"sound": "../x"}, {"sound": "none"}, given | {"head": "/etc/x"}:
        assert studio.post("/api/people/me/speak", wrong)[0] == 422
    (person,) = studio.get("/api/state")[1]["people"]
    assert spoken_run.name in person["run"]["identities"]
    assert studio.get("/api/people/me/training")[1]["curve"]


def test_unknown_things_are_404_and_bad_bodies_are_refused(studio):
    assert studio.post("/api/jobs/none/stop")[0] == 404
    assert studio.post("/api/people/me/dance")[0] == 404
    assert studio.get("/api/people/me/findings")[0] == 404
    assert studio.post("/api/people/me/train", b"[1")[0] == 422
    assert studio.post("/api/people/me/train", b"[1]")[0] == 422
    assert studio.post("/api/people/me/train", b" " * 100_000)[0] == 413
