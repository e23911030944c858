import json
import pathlib
import shutil
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest
import scipy.io.wavfile

import render
from lokitalk_jax import backdrop, motion, process, reenact, structs, video_io
from lokitalk_jax.checkpoint import config_hash
from lokitalk_jax.data import folder
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluate import metrics, score
from lokitalk_jax.evaluate.clip_scores import ClipScores
from lokitalk_jax.evaluate.landmarks import FacePairs
from lokitalk_jax.prepare import faces
from lokitalk_jax.run import Run


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    """The command inside the test's process, which has started, and off the network."""
    monkeypatch.setattr(process, "start", lambda: None)
    monkeypatch.setattr(faces, "find_model", lambda: None)


@pytest.fixture
def avatar(tiny_run):  # noqa: F811
    return Run(tiny_run.workdir).avatar("demo_01")


def command(run, *flags):
    render.main([f"--workdir={run.workdir}", *flags])


def plate_of(avatar):
    return backdrop.find("plate", avatar.portrait)


def frames_of(avatar, shown):
    """Renders of a motion, float32 [F, H, W, 3]."""
    stream = reenact.stream(avatar.renderer, shown.frames(), plate_of(avatar))
    return np.stack([np.asarray(frame.rgb) for frame in stream])


def copied(run, tmp_path):
    """A copy of the run's folder that a test may damage."""
    shutil.copytree(run.workdir, tmp_path / "run")
    return run._replace(workdir=tmp_path / "run")


def refusal(run, *flags):
    with pytest.raises(SystemExit) as stopped:
        command(run, *flags)
    message = str(stopped.value)
    assert message.startswith("render.py: ")
    return message


def test_the_command_writes_a_video_with_sound(tiny_run, tmp_path):  # noqa: F811
    out = tmp_path / "x.mp4"
    root = pathlib.Path(render.__file__).parent
    done = subprocess.run(
        [sys.executable, "render.py", f"--workdir={tiny_run.workdir}"]
        + ["--identity=demo_01", "--frames=10:40", f"--out={out}"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "30/30" in done.stderr and "frames 10 to 39 of demo_01" in done.stderr
    assert "absl" not in done.stderr.lower()
    with av.open(str(out)) as container:
        assert "synthetic media" in container.metadata["comment"]
        assert container.streams.video[0].frames == 30
        for stream in container.streams.video[0], container.streams.audio[0]:
            length = float(stream.duration * stream.time_base)
            assert length == pytest.approx(30 / structs.FPS, abs=1e-3)


def test_every_person_is_rendered_as_training_showed_them(tiny_run):  # noqa: F811
    run = Run(tiny_run.workdir)
    pictures = []
    for name in tiny_run.names:
        avatar = run.avatar(name)
        frame = int(avatar.portrait.test_frames[len(avatar.portrait.test_frames) // 2])
        rendered = frames_of(avatar, motion.tracked(avatar.portrait, [frame]))[0]
        strip = cv2.imread(str(tiny_run.workdir / f"previews/{name}-0000012.png"))
        width = avatar.portrait.width
        preview = strip[:, width : 2 * width, ::-1] / 255
        np.testing.assert_allclose(np.clip(rendered, 0, 1), preview, atol=3 / 255)
        pictures.append(rendered)
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.02


def test_video_shows_the_rendered_frames_in_order(tiny_run, avatar, tmp_path):  # noqa: F811
    command(tiny_run, "--identity=demo_01", f"--out={tmp_path / 'x.mp4'}")
    shown = list(video_io.read_frames(tmp_path / "x.mp4"))
    frames = motion.select_frames(avatar.portrait, "test")
    truth = np.clip(frames_of(avatar, motion.tracked(avatar.portrait, frames)), 0, 1)
    assert len(shown) == len(frames) == 50 - folder.train_count(50)
    for one, other in zip(shown, truth, strict=True):
        assert metrics.psnr(other, np.float32(one / 255)) > 30


def test_stream_keeps_the_order_and_runs_at_most_two_frames_ahead():
    asked = []

    def renderer(pose, signals, plate):
        asked.append(pose)
        time.sleep(0.02 * (pose % 2))  # the frame after may be ready before
        return pose

    given = 0
    for index, frame in enumerate(
        reenact.stream(renderer, ((i, None) for i in range(7)), None)
    ):
        given += 1
        assert frame == index
        assert len(asked) <= index + 3
    assert given == len(asked) == 7
    assert list(reenact.stream(renderer, [], None)) == []


def test_sound_is_cut_to_the_frames(tiny_run, avatar):  # noqa: F811
    whole = scipy.io.wavfile.read(tiny_run.data / "demo_01" / "audio.wav")[1]
    samples, rate = reenact.sound(avatar.portrait.audio, range(10, 40))
    assert rate == structs.AUDIO_RATE
    np.testing.assert_array_equal(samples, whole[10 * 640 : 40 * 640])
    assert reenact.sound(None, range(10)) is None


@pytest.mark.parametrize("region", structs.REGIONS)
def test_a_muted_region_rests_and_the_others_move(avatar, region):
    portrait = avatar.portrait
    tracked = motion.tracked(portrait, range(5, 25))
    held = motion.hold(tracked, portrait, [region])
    for name in structs.REGIONS:
        leaf, before = getattr(held.signals, name), getattr(tracked.signals, name)
        if name == region:
            assert (leaf == getattr(portrait.rest, name)).all() and len(leaf) == 20
        else:
            np.testing.assert_array_equal(leaf, before)
    still = (held.head_to_camera == portrait.rest_pose).all()
    assert still == (region == "head")


def test_a_person_with_all_regions_muted_stands_still(tiny_run, avatar, tmp_path):  # noqa: F811
    tracked = motion.tracked(avatar.portrait, [5, 25])
    held = motion.hold(tracked, avatar.portrait, structs.REGIONS)
    moving, still = frames_of(avatar, tracked), frames_of(avatar, held)
    assert np.abs(moving[0] - moving[1]).max() > 0.02
    np.testing.assert_array_equal(still[0], still[1])
    out = f"--out={tmp_path / 'x.mp4'}"
    command(tiny_run, "--identity=demo_01", "--mute=lip,eye,head,torso", out)
    shown = np.stack(list(video_io.read_frames(tmp_path / "x.mp4"))).astype(int)
    assert np.ptp(shown, axis=0).max() <= 4  # what H.264 adds


def test_maps_stand_beside_the_render(tiny_run, tmp_path):  # noqa: F811
    out = f"--out={tmp_path / 'x.mp4'}"
    command(tiny_run, "--identity=demo_00", "--frames=3:5", "--maps", out)
    first, _ = video_io.read_frames(tmp_path / "x.mp4")
    assert first.shape[1] == 4 * 160  # four panels, each pixel drawn 5 x 5
    panels = first[-160:].reshape(160, 4, 160, 3).swapaxes(0, 1).astype(int)
    assert all(np.ptp(panel, axis=(0, 1)).max() > 40 for panel in panels)
    assert all(np.abs(panels[0] - panel).mean() > 20 for panel in panels[1:])


def test_transparent_video_laid_over_the_plate_is_the_render(
    tiny_run,
    avatar,
    tmp_path,
):
    out = tmp_path / "x.mov"
    flags = ("--identity=demo_01", "--frames=7:8", "--background=none")
    command(tiny_run, *flags, f"--out={out}")
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgba") / 255
    alpha = frame[..., 3:]
    assert np.ptp(alpha) > 0.05 and 0.1 < alpha.mean() < 0.9
    composed = alpha * frame[..., :3] + (1 - alpha) * plate_of(avatar)
    expected = frames_of(avatar, motion.tracked(avatar.portrait, [7]))[0]
    assert np.abs(composed - expected).mean() < 0.01


def test_backgrounds(avatar, tmp_path):
    portrait = avatar.portrait
    size = portrait.height, portrait.width
    assert backdrop.find("none", portrait) is None
    for text in ("#ff8000", "FF8000"):
        np.testing.assert_allclose(
            backdrop.find(text, portrait), np.full((*size, 3), [1, 128 / 255, 0]), 1e-6
        )
    # Twice as wide as high: the frame shows the middle half.
    wide = np.zeros((50, 100, 3), np.uint8)
    wide[:, 25:75] = 255, 0, 0
    folder.write_image(tmp_path / "wide.png", wide)
    image = backdrop.find(str(tmp_path / "wide.png"), portrait)
    assert image.shape == (*size, 3)
    np.testing.assert_allclose(image[:, 1:-1].mean((0, 1)), [1, 0, 0], atol=0.01)
    with pytest.raises(ValueError, match="purplish is neither plate"):
        backdrop.find("purplish", portrait)


def test_background_shines_through_as_far_as_nobody_is_there(avatar):
    shown = motion.tracked(avatar.portrait, [7])
    over = {}
    for colour in "black", "green":
        behind = backdrop.find(colour, avatar.portrait)
        over[colour] = next(reenact.stream(avatar.renderer, shown.frames(), behind))
    through = np.asarray(over["green"].rgb - over["black"].rgb)
    expected = (1 - np.asarray(over["green"].alpha))[..., None] * [0, 1, 0]
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(through, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("all", range(50)),
        ("test", range(45, 50)),
        ("3:7", range(3, 7)),
        (":7", range(7)),
        ("40:", range(40, 50)),
    ],
)
def test_frames_in_words(avatar, text, frames):
    assert motion.select_frames(avatar.portrait, text) == frames


@pytest.mark.parametrize("text", ["7:7", "40:51", "-3:5", "5", "most", "9:3"])
def test_frames_that_are_not_in_the_clip_are_refused(avatar, text):
    with pytest.raises(ValueError, match=f"--frames={text} is n"):
        motion.select_frames(avatar.portrait, text)


def test_evaluation_writes_scores_and_pictures(tiny_run, avatar, tmp_path):  # noqa: F811
    command(tiny_run, "--evaluate", f"--out={tmp_path}")
    result = json.loads((tmp_path / "metrics.json").read_text())
    run = Run(tiny_run.workdir)
    people = result.pop("identities")
    assert result == {
        "config_hash": run.config_hash,
        "step": 12,
        "size": 32,
        "protocol": "full",
        "signals": "tracked",
    }
    assert list(people) == tiny_run.names
    for name in tiny_run.names:
        scores = people[name]["tracked"]
        assert scores["frame"].keys() >= {"psnr", "ssim", "ms_ssim", "lpips_alex"}
        for region in structs.REGIONS:
            assert scores[region].keys() == {"psnr", "ssim", "lpips_alex"}
        assert scores["frames"] == 5
        assert (scores["lmd_px"] is None) == (scores["missed_faces"] == 5)
        assert len(list(video_io.read_frames(tmp_path / f"{name}.mp4"))) == 5
        sheet = cv2.imread(str(tmp_path / f"{name}.png"))
        assert sheet.shape[1] == 6 * 160 and sheet.shape[0] > 5 * 160

    data = Dataset.open(folder.IdentityFolder(tiny_run.data / "demo_01"), 32)
    rendered = frames_of(avatar, motion.tracked(avatar.portrait, range(45, 50)))
    expected = [
        metrics.psnr(data.frame(45 + i)[0], np.clip(frame, 0, 1))
        for i, frame in enumerate(rendered)
    ]
    scores = people["demo_01"]["tracked"]
    assert scores["frame"]["psnr"] == pytest.approx(np.mean(expected), abs=1e-3)


def test_evaluation_of_some_frames_of_one_person(tiny_run, tmp_path):  # noqa: F811
    flags = ("--identity=demo_00", "--max_frames=2", f"--data={tiny_run.data}")
    command(tiny_run, "--evaluate", *flags, f"--out={tmp_path}")
    result = json.loads((tmp_path / "metrics.json").read_text())
    assert list(result["identities"]) == ["demo_00"]
    assert result["identities"]["demo_00"]["tracked"]["frames"] == 2
    with av.open(str(tmp_path / "demo_00.mp4")) as container:
        # The first and the last of five frames, in the time that five take.
        length = float(container.duration) / av.time_base
        assert length == pytest.approx(5 / structs.FPS, abs=0.05)


class OneFace:
    """Stands in for the detector: a face that shifts with the picture's brightness."""

    def faces(self, rgb):
        points = np.random.default_rng(0).uniform(0, 40, (478, 3))
        points[:, 0] *= 1 + rgb.mean() / 255
        return [faces.Face(points)]


def test_scores_of_predictions_whose_error_is_known(tiny_run):  # noqa: F811
    data = Dataset.open(folder.IdentityFolder(tiny_run.data / "demo_00"), 32)
    perfect, off = (
        ClipScores(score.scorer(), FacePairs(OneFace(), OneFace())) for _ in range(2)
    )
    for index in data.test_frames[:2]:
        truth = data.frame(index)[0]
        score.add_frame(perfect, data, index, truth)
        # 0.1 up or down, whichever stays in [0, 1].
        shifted = truth + np.float32(0.1) * np.where(truth < 0.5, 1, -1)
        score.add_frame(off, data, index, shifted)
    perfect, off = perfect.result(), off.result()
    assert perfect["frame"]["psnr"] == perfect["lip"]["psnr"] == metrics.PSNR_CAP
    assert perfect["frame"]["ssim"] == pytest.approx(1)
    assert perfect["frame"]["lpips_alex"] == pytest.approx(0, abs=1e-6)
    assert perfect["lmd_px"] == 0 and perfect["missed_faces"] == 0
    for region in ("frame", *structs.REGIONS):
        assert off[region]["psnr"] == pytest.approx(20, abs=1e-3)
    assert off["frame"]["ssim"] < 0.99 and off["frame"]["lpips_alex"] > 1e-3
    assert off["lmd_px"] > 0 and off["frames"] == 2


def test_runs_that_are_none_are_refused(tiny_run, tmp_path):  # noqa: F811
    nowhere = tiny_run._replace(workdir=tmp_path / "nowhere")
    assert "nowhere is not a run" in refusal(nowhere)
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    empty = tiny_run._replace(workdir=tmp_path / "empty")
    assert "holds no complete checkpoint" in refusal(empty)


def test_people_the_run_does_not_know_are_refused(tiny_run):  # noqa: F811
    message = refusal(tiny_run, "--identity=nobody")
    assert "'nobody'" in message and "demo_00, demo_01" in message
    assert "choose one with --identity: demo_00, demo_01" in refusal(tiny_run)


def test_a_config_that_is_not_the_runs_is_refused(tiny_run, tmp_path):  # noqa: F811
    run = copied(tiny_run, tmp_path)
    config = run.workdir / "checkpoints/12/config/metadata"
    meta = run.workdir / "checkpoints/12/meta/metadata"
    fields = json.loads(config.read_text())
    fields["grid"]["log2_entries"] += 1
    config.write_text(json.dumps(fields))
    assert "has the hash" in refusal(run, "--identity=demo_00")
    # The same with a hash to match: the parameters themselves do not fit.
    known = json.loads(meta.read_text())
    meta.write_text(json.dumps(known | {"config_hash": config_hash(fields)}))
    assert "does not fit this config's model" in refusal(run, "--identity=demo_00")
    fields["grid"]["log2_entries"] -= 1
    fields["model"]["torso_residual"] = True
    config.write_text(json.dumps(fields))
    meta.write_text(json.dumps(known | {"config_hash": config_hash(fields)}))
    message = refusal(run, "--identity=demo_00")
    assert "does not fit" in message and "torso" in message
    del fields["model"]["octaves"]
    config.write_text(json.dumps(fields))
    meta.write_text(json.dumps(known | {"config_hash": config_hash(fields)}))
    message = refusal(run, "--identity=demo_00")
    assert "another version" in message and "octaves" in message


def test_parts_of_a_run_that_are_missing_are_named(tiny_run, tmp_path):  # noqa: F811
    run = copied(tiny_run, tmp_path)
    shutil.rmtree(run.workdir / "checkpoints/12/shared")
    assert "shared" in refusal(run, "--identity=demo_00")
    shutil.rmtree(run.workdir / "identities/demo_00")
    assert "no identity 'demo_00'" in refusal(run, "--identity=demo_00")


def test_truth_that_is_gone_or_another_clip_is_refused(tiny_run, tmp_path):  # noqa: F811
    flags = ("--evaluate", "--identity=demo_00")
    (tmp_path / "data").mkdir()
    shutil.copytree(tiny_run.data / "demo_01", tmp_path / "data/demo_00")
    message = refusal(tiny_run, *flags, f"--data={tmp_path / 'data'}")
    assert "is not the clip that 'demo_00' was trained on" in message
    (tmp_path / "data/demo_00").rename(tmp_path / "data/other")
    message = refusal(tiny_run, *flags, f"--data={tmp_path / 'data'}")
    assert "holds no identity 'demo_00', only other" in message
    tiny_run.data.rename(tiny_run.data.with_name("away"))
    try:
        message = refusal(tiny_run, *flags, f"--out={tmp_path / 'out'}")
    finally:
        tiny_run.data.with_name("away").rename(tiny_run.data)
    assert "not there" in message and "--data" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--out=x.avi"], "'.avi'"),
        (["--background=none", "--out=x.mp4"], ".mov"),
        (["--background=none", "--maps", "--out=x.mov"], "--maps"),
        (["--mute=lip,nose"], "'nose'"),
        (["--frames=1000:"], "numbered from 0"),
        (["--out=no/such/folder/x.mp4"], "no/such/folder"),
    ],
)
def test_requests_that_cannot_be_met(tiny_run, flags, words, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    assert words in refusal(tiny_run, "--identity=demo_00", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags",
    [["--evaluate", "--maps"], ["--max_frames=3"], ["--evaluate", "--max_frames=0"]],
)
def test_flags_of_the_other_task_are_refused(tiny_run, flags, capsys):  # noqa: F811
    with pytest.raises(SystemExit) as stopped:
        command(tiny_run, *flags)
    assert stopped.value.code == 2
    assert flags[-1].split("=")[0] in capsys.readouterr().err


def test_someone_else_drives(tiny_run, tmp_path):
    """Lips of another identity of the run, then all of an identity folder."""
    me, you = tiny_run.names
    out = tmp_path / "x.mp4"
    sources = (f"--lip={you}", f"--drive={tiny_run.data / you}")
    for source in sources:
        command(tiny_run, f"--identity={me}", source, "--frames=2:6", f"--out={out}")
        assert len(list(decoded(out))) == 4
    message = refusal(tiny_run, f"--identity={me}", "--drive=nobody")
    assert "'nobody'" in message and you in message and "identity folder" in message


def decoded(path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_a_prior_renders_and_scores_someone_it_has_not_seen(tiny_run, tmp_path):
    source = tiny_run.data / tiny_run.names[0]
    flags = [f"--prior={tiny_run.workdir}", f"--reference={source}"]
    render.main([*flags, "--frames=0:3", f"--out={tmp_path / 'x.mp4'}"])
    assert len(list(decoded(tmp_path / "x.mp4"))) == 3
    render.main([*flags, "--evaluate", "--max_frames=2", f"--out={tmp_path / 'score'}"])
    found = json.loads((tmp_path / "score" / "metrics.json").read_text())
    assert found["identities"][tiny_run.names[0]]["tracked"]["frames"] == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["--prior=runs/x"],
        ["--workdir=runs/x", "--reference=data/x"],
        ["--prior=runs/x", "--reference=data/x", "--identity=me"],
        ["--workdir=runs/x", "--evaluate", "--drive=me"],
    ],
)
def test_flags_that_do_not_belong_together_are_refused(flags, capsys):
    with pytest.raises(SystemExit) as stopped:
        render.main(flags)
    assert stopped.value.code == 2
    assert "belong" in capsys.readouterr().err


def test_protocols_are_told_apart(tiny_run, tmp_path):  # noqa: F811
    run, scores = copied(tiny_run, tmp_path), {}
    for protocol in "full", "peer":
        flags = ("--identity=demo_00", "--max_frames=2", f"--protocol={protocol}")
        command(run, "--evaluate", *flags)
    for protocol in "full", "peer":
        out = run.workdir / "evaluation" / f"{protocol}_tracked_2_frames" / "demo_00"
        result = json.loads((out / "metrics.json").read_text())
        assert result["protocol"] == protocol
        assert f"<td>{protocol}</td>" in (out / "report.html").read_text()
        scores[protocol] = result["identities"]["demo_00"]["tracked"]
    # The torso is the true one there, whatever the model makes of it.
    assert scores["peer"]["torso"]["psnr"] > scores["full"]["torso"]["psnr"] + 3
    assert scores["peer"]["frame"]["psnr"] > scores["full"]["frame"]["psnr"]


def test_a_checkpoint_of_another_step_is_named(tiny_run):
    latest = Run(tiny_run.workdir).step
    assert Run(tiny_run.workdir, latest).step == latest
    with pytest.raises(ValueError, match=f"of step 77, only of.* {latest}"):
        Run(tiny_run.workdir, 77)
