import json
import shutil

import pytest
from render_command import copied, refusal

from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.checkpoint.items import config_hash
from lokitalk_jax.cli import render

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.mark.parametrize("text", ["7:7", "40:51", "-3:5", "5", "most", "9:3"])
def test_frames_that_are_not_in_the_clip_are_refused(avatar, text):
    with pytest.raises(ValueError, match=f"frames={text} is n"):
        motion.select_frames(avatar.record, text)


def test_runs_that_are_none_are_refused(tiny_run, tmp_path):
    nowhere = tiny_run._replace(workdir=tmp_path / "nowhere")
    assert "nowhere is not a run" in refusal(nowhere)
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    empty = tiny_run._replace(workdir=tmp_path / "empty")
    assert "holds no complete checkpoint" in refusal(empty)


def test_identities_that_are_not_in_the_run_are_refused(tiny_run):
    message = refusal(tiny_run, "--identity=nobody")
    assert "--identity=nobody" in message and "demo_00, demo_01" in message
    assert "choose one with --identity=NAME: demo_00, demo_01" in refusal(tiny_run)


def test_a_config_that_is_not_the_runs_is_refused(tiny_run, tmp_path):
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
    fields["model"]["identity_layers"] = False
    config.write_text(json.dumps(fields))
    meta.write_text(json.dumps(known | {"config_hash": config_hash(fields)}))
    message = refusal(run, "--identity=demo_00")
    assert "does not fit" in message and "last_layers" in message
    del fields["model"]["octaves"]
    config.write_text(json.dumps(fields))
    meta.write_text(json.dumps(known | {"config_hash": config_hash(fields)}))
    message = refusal(run, "--identity=demo_00")
    assert "another version" in message and "octaves" in message


def test_parts_of_a_run_that_are_missing_are_named(tiny_run, tmp_path):
    run = copied(tiny_run, tmp_path)
    shutil.rmtree(run.workdir / "checkpoints/12/shared")
    assert "shared" in refusal(run, "--identity=demo_00")
    shutil.rmtree(run.workdir / "identities/demo_00")
    assert "--identity=demo_00 is not in" in refusal(run, "--identity=demo_00")


def test_truth_that_is_gone_or_another_clip_is_refused(tiny_run, tmp_path):
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
    assert "are missing" in message and "--data=FOLDER" in message
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
def test_requests_that_cannot_be_met(tiny_run, flags, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(tiny_run, "--identity=demo_00", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--evaluate", "--maps"], "--maps belongs to render.py reenact and render.py"),
        (["--max-frames=3"], "--max-frames belongs to render.py evaluate"),
        (["--evaluate", "--drive=me"], "--drive belongs to render.py reenact"),
        (["--audio=x.wav", "--mute=lip"], "--mute belongs to render.py reenact"),
        (["--audio=x.wav", "--evaluate"], "--audio belongs to render.py speak"),
        (["--seed=3"], "--seed belongs to render.py speak"),
        (["--identity=me", "--reference=data/x"], "--reference: not allowed with"),
        (["--prior=runs/x"], "there is no --prior=runs/x"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        render.main(["--workdir=runs/x", *flags], "render.py")
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_modes_and_their_short_forms_are_the_same():
    for mode, flags in {
        "reenact": ["--frames=all"],
        "speak": ["--audio=x.wav", "--gain=lip:1.2"],
        "evaluate": ["--signals=audio"],
    }.items():
        flags = ["--workdir=runs/x", *flags]
        short = ["--evaluate", *flags] if mode == "evaluate" else flags
        assert render.parse([mode, *flags], "x") == render.parse(short, "x")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--lip=still"], "--lip=still is for speech; --mute=lip holds"),
        (["--head=curves.csv"], "--head=curves.csv is for speech"),
        (
            ["--mute=lip", "--lip=demo_01"],
            "--mute=lip holds a region",
        ),
        (["--size=0"], "is too small; give at least 16"),
        (["evaluate", "--max-frames=0"], "--max-frames=0 must be at least 1"),
    ],
)
def test_values_without_a_meaning_are_refused(tiny_run, flags, words):
    mode = [flag for flag in flags if not flag.startswith("-")] or ["reenact"]
    flags = [flag for flag in flags if flag.startswith("-")]
    assert words in refusal(tiny_run, *mode, "--identity=demo_00", *flags)


def test_gains_are_by_region(capsys):
    with pytest.raises(SystemExit) as stopped:
        render.main(["speak", "--workdir=x", "--audio=x.wav", "--gain=lip"])
    assert stopped.value.code == 2
    assert "'lip' is not like lip:1.2,head:0.5" in capsys.readouterr().err


def test_a_checkpoint_of_another_step_is_named(tiny_run):
    latest = OpenRun(tiny_run.workdir).step
    assert OpenRun(tiny_run.workdir, latest).step == latest
    with pytest.raises(ValueError, match=f"of step 77, only of.* {latest}"):
        OpenRun(tiny_run.workdir, 77)
