import pathlib
import subprocess
import sys

import av
import jax
import numpy as np
import pytest
import tiny_model

import lokitalk_jax as lokitalk
from lokitalk_jax import structs
from lokitalk_jax.media import image_file

_HEAVY = ("jax", "numpy", "cv2", "mediapipe", "ml_collections", "librosa")


@pytest.fixture
def off_network(monkeypatch):
    from lokitalk_jax.preparation import face_model

    monkeypatch.setattr(face_model, "find", lambda path=None: None)


def test_importing_the_package_loads_nothing_heavy():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import lokitalk_jax, sys; "
            f"print(sorted(set({_HEAVY}) & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in lokitalk.__all__:
        assert getattr(lokitalk, name).__doc__, name
        assert name in dir(lokitalk)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lokitalk.nothing


def test_training_by_a_call_is_training(tiny_run, tmp_path):
    heard = []
    config = tiny_model.config(encoder=True)
    run = lokitalk.train(
        config,
        data=tiny_run.data,
        workdir=tmp_path / "run",
        overrides={"train.keep": 3},
        progress=lambda *report: heard.append(report),
    )
    assert run.step == 12 and run.identities == tiny_run.names
    assert run.config.train.keep == 3 and config.data.root == ""
    stages = list(dict.fromkeys(stage for stage, *_ in heard))
    assert stages[-2:] == ["compiling", "training"]
    assert heard[-1] == ("training", 12, 12, pytest.approx(0, abs=1e-6))
    jax.tree.map(
        np.testing.assert_array_equal,
        run.opened.params("demo_00"),
        lokitalk.Run(str(tiny_run.workdir)).opened.params("demo_00"),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"config": "nobody"}, "config=nobody is neither"),
        (
            {"config": "single_id:draft", "overrides": {"train.step": 1}},
            "train.steps",
        ),
        (
            {
                "config": "adapt:draft_cpu",
                "prior": "x",
                "overrides": {"grid.levels": 3},
            },
            "grid.levels has no effect",
        ),
        (
            {"config": "adapt:draft_cpu", "data": "x", "prior": ""},
            "give prior=RUN or prior=base",
        ),
        ({"config": "adapt:draft_cpu", "data": "x", "prior": "y"}, r"y: .*\(base\)"),
        ({"config": "single_id:draft_cpu", "data": "x"}, "x"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words) as refused:
        lokitalk.train(**arguments)
    assert "--" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_an_avatar_reenacts_frames_with_their_times(tiny_run, tmp_path):
    avatar = lokitalk.Run(tiny_run.workdir).avatar("demo_01")
    footage = avatar.reenact(frames="3:7")
    frames = list(footage)
    assert len(footage) == len(frames) == 4
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert {frame.rgb.shape for frame in frames} == {(*avatar.size, 3)}
    again = list(avatar.reenact(frames=range(3, 7)))
    for one, other in zip(frames, again, strict=True):
        np.testing.assert_array_equal(one.rgb, other.rgb)
    for name in ("now", "now.txt"):
        with pytest.raises(ValueError, match=f"latest_frame=.*{name} names no picture"):
            footage.save(tmp_path / "x.mp4", latest_frame=tmp_path / name)
    assert not list(tmp_path.iterdir())
    heard = []
    picture = tmp_path / "x.png"
    footage.save(
        tmp_path / "x.mp4",
        latest_frame=picture,
        progress=lambda *report: heard.append(report[:3]),
    )
    shown = image_file.read_rgb(picture)
    assert any(np.array_equal(shown, frame.rgb) for frame in frames)
    assert heard == [("rendering", done, 4) for done in range(5)]
    with av.open(str(tmp_path / "x.mp4")) as video:
        assert video.streams.video[0].frames == 4 and video.streams.audio


def test_other_sizes_and_transparency(tiny_run):
    run = lokitalk.Run(tiny_run.workdir)
    avatar = run.avatar("demo_01", size=16)
    (frame,) = avatar.reenact(frames="3:4", background="none")
    assert avatar.size == (16, 16) and frame.rgb.shape == (16, 16, 4)


def test_an_avatar_speaks_a_file(spoken_run, tmp_path):
    avatar = lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name)
    speech = avatar.speak(str(spoken_run.path), seed=1, gain={"head": 0.5})
    frames = list(speech)
    assert len(speech) == len(frames) == spoken_runs_frames(spoken_run)
    speech.save_curves(tmp_path / "curves.csv")
    table = tmp_path / "curves.csv"
    fed = avatar.speak(spoken_run.path, lip=table, eye=table, head=table)
    for one, other in zip(frames, fed, strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 2


def spoken_runs_frames(spoken_run) -> int:
    rate = structs.AUDIO_RATE // structs.FPS
    return -(-len(spoken_run.sound) // rate)


def test_opening_a_run_warns_of_nothing(tiny_run, caplog):
    lokitalk.Run(tiny_run.workdir)
    assert not caplog.text


def test_a_live_avatar_gives_each_frame_its_sound(spoken_run):
    live = lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name).live()
    frames = []
    for start in range(0, len(spoken_run.sound), 700):
        frames += live.push(spoken_run.sound[start : start + 700])
    frames += live.finish()
    assert len(frames) == spoken_runs_frames(spoken_run)
    played = np.concatenate([frame.samples for frame in frames])
    np.testing.assert_allclose(
        played[: len(spoken_run.sound)], spoken_run.sound, atol=1e-6
    )
    assert not played[len(spoken_run.sound) :].any()


def test_scores_of_a_run_an_avatar_and_a_new_identity(
    tiny_run, strangers, tmp_path, off_network
):
    run = lokitalk.Run(tiny_run.workdir)
    options = lokitalk.EvaluateOptions(max_frames=1)
    whole = lokitalk.evaluate(tiny_run.workdir, tmp_path / "run", options=options)
    assert list(whole.metrics["identities"]) == tiny_run.names
    assert whole.folder == tmp_path / "run" and len(whole.summary()) == 2
    avatar = run.avatar(tiny_run.names[1])
    one = lokitalk.evaluate(avatar, tmp_path / "one", options=options)
    assert one.metrics["identities"].keys() == {avatar.name}
    alone, together = (x.metrics["identities"][avatar.name] for x in (one, whole))
    assert alone == together
    stranger = run.zero_shot(next(strangers.iterdir()))
    new = lokitalk.evaluate(stranger, tmp_path / "new", options=options)
    assert new.metrics["identities"].keys() == {stranger.name}
    assert (new.folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda a: a.reenact(frames="x:y"), "frames=x:y is neither"),
        (lambda a: a.reenact(frames=range(0, 9, 2)), "has steps of 2; give 1"),
        (lambda a: a.reenact(mute=["nose"]), "'nose'"),
        (lambda a: a.reenact(mute="nose"), "mute has no region 'nose'; it has lip"),
        (lambda a: a.speak("gone.wav", seed=-1), "seed=-1 must be at least 0"),
        (lambda a: a.reenact(mute=["lip"], lip="demo_01"), "mute=lip"),
        (lambda a: a.reenact(lip="still"), "lip=still is for speech"),
        (lambda a: a.reenact(drive="nobody"), "drive=nobody is neither"),
        (lambda a: a.reenact(background="purplish"), "background=purplish"),
        (lambda a: a.reenact().save("x.avi"), "avi"),
        (lambda a: a.reenact().save("x.mp4", fps=0), "fps=0"),
        (lambda a: a.resized(4), "at least 16"),
        (lambda a: a.speak("gone.wav", lip="still"), "gone.wav"),
        (lambda a: a.live(background="none", lip="still"), "background=none"),
    ],
)
def test_what_an_avatar_cannot_do_is_refused_by_parameter(tiny_run, ask, words):
    avatar = lokitalk.Run(tiny_run.workdir).avatar("demo_00")
    with pytest.raises(ValueError, match=words) as refused:
        ask(avatar)
    assert "--" not in str(refused.value)


def test_a_new_identity_speaks_before_any_training(tiny_run, strangers, spoken_run):
    stranger = lokitalk.Run(tiny_run.workdir).zero_shot(next(strangers.iterdir()))
    footage = stranger.speak(spoken_run.path)
    first = next(iter(footage))
    assert len(footage) > 10 and first.rgb.shape == (*stranger.size, 3)


def test_runs_and_identities_that_are_none_are_refused(tiny_run, tmp_path):
    with pytest.raises(ValueError, match="is not a run"):
        lokitalk.Run(tmp_path)
    with pytest.raises(ValueError, match="choose one with identity=NAME"):
        lokitalk.Run(tiny_run.workdir).avatar()


def test_videos_that_cannot_be_prepared_are_refused(tmp_path, off_network):
    (tmp_path / "x.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"x\.mp4"):
        lokitalk.prepare(tmp_path / "x.mp4", tmp_path / "out")
    with pytest.raises(ValueError, match="audio_offset=soon"):  # before any work
        lokitalk.prepare(tmp_path / "x.mp4", tmp_path / "out", audio_offset="soon")
    with pytest.raises(ValueError, match="size=33 must be even"):
        lokitalk.PrepareOptions(size=33)
    nan, inf = float("nan"), float("inf")
    for start, end in ((nan, None), (inf, None), (0, nan), (0, inf), (-1, 2), (2, 1)):
        with pytest.raises(ValueError, match="0 <= start < end is needed"):
            lokitalk.PrepareOptions(start=start, end=end)
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]


def test_no_error_of_the_package_speaks_of_flags():
    """The command line writes parameters as flags; the package knows none."""
    package = pathlib.Path(lokitalk.__file__).parent
    for path in package.rglob("*.py"):
        if path.parent.name in ("cli", "studio"):  # they write command lines
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            known = "xla_" in line
            assert known or not any(x in line for x in ('"--', " --")), (path, number)
