import json
import pathlib
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest
import scipy.io.wavfile
from render_command import command, frames_of, plate_of, refusal

from lokitalk_jax import structs
from lokitalk_jax.avatar import backdrop, frame_stream, motion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.cli import render
from lokitalk_jax.data import layout
from lokitalk_jax.evaluation.metrics import psnr
from lokitalk_jax.media import clip_sound, image_file, video_reader

pytestmark = pytest.mark.usefixtures("in_process")


def test_the_command_writes_a_video_with_sound(tiny_run, tmp_path):
    out = tmp_path / "x.mp4"
    root = pathlib.Path(__file__).parents[2]
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


def test_every_person_is_rendered_as_training_showed_them(tiny_run):
    run = OpenRun(tiny_run.workdir)
    pictures = []
    for name in tiny_run.names:
        avatar = run.avatar(name).exact()
        frame = int(avatar.record.test_frames[len(avatar.record.test_frames) // 2])
        rendered = frames_of(avatar, motion.tracked(avatar.record, [frame]))[0]
        strip = cv2.imread(str(tiny_run.workdir / f"previews/{name}-0000012-fine.png"))
        width = avatar.record.camera.width
        times = strip.shape[1] // (5 * width)  # five panels, enlarged, under labels
        small = strip[-times * avatar.record.camera.height :: times, ::times]
        preview = small[:, width : 2 * width, ::-1] / 255
        np.testing.assert_allclose(np.clip(rendered, 0, 1), preview, atol=3 / 255)
        pictures.append(rendered)
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.02


def test_video_shows_the_rendered_frames_in_order(tiny_run, avatar, tmp_path):
    command(tiny_run, "--identity=demo_01", f"--out={tmp_path / 'x.mp4'}")
    shown = list(video_reader.read_frames(tmp_path / "x.mp4"))
    frames = motion.select_frames(avatar.record, "test")
    truth = np.clip(frames_of(avatar, motion.tracked(avatar.record, frames)), 0, 1)
    assert len(shown) == len(frames) == 50 - layout.train_count(50)
    for one, other in zip(shown, truth, strict=True):
        assert psnr.psnr(other, np.float32(one / 255)) > 30


def test_stream_keeps_the_order_and_runs_at_most_two_frames_ahead():
    asked = []

    def renderer(pose, signals, plate):
        asked.append(pose)
        time.sleep(0.02 * (pose % 2))  # the frame after may be ready before
        return pose

    given = 0
    for index, frame in enumerate(
        frame_stream.render(renderer, ((i, None) for i in range(7)), None)
    ):
        given += 1
        assert frame == index
        assert len(asked) <= index + 3
    assert given == len(asked) == 7
    assert list(frame_stream.render(renderer, [], None)) == []


def test_sound_is_cut_to_the_frames(tiny_run, avatar):
    whole = scipy.io.wavfile.read(tiny_run.data / "demo_01" / "audio.wav")[1]
    samples, rate = clip_sound.of_frames(avatar.record.audio, range(10, 40))
    assert rate == structs.AUDIO_RATE
    np.testing.assert_array_equal(samples, whole[10 * 640 : 40 * 640])
    assert clip_sound.of_frames(None, range(10)) is None


@pytest.mark.parametrize("region", structs.REGIONS)
def test_a_muted_region_rests_and_the_others_move(avatar, region):
    record = avatar.record
    tracked = motion.tracked(record, range(5, 25))
    held = motion.hold(tracked, record, [region])
    for name in structs.REGIONS:
        leaf, before = getattr(held.signals, name), getattr(tracked.signals, name)
        if name == region:
            assert (leaf == getattr(record.rest, name)).all() and len(leaf) == 20
        else:
            np.testing.assert_array_equal(leaf, before)
    still = (held.head_to_camera == record.rest_pose).all()
    assert still == (region == "head")


def test_a_person_with_all_regions_muted_stands_still(tiny_run, avatar, tmp_path):
    tracked = motion.tracked(avatar.record, [5, 25])
    held = motion.hold(tracked, avatar.record, structs.REGIONS)
    moving, still = (
        frames_of(avatar, tracked),
        frames_of(avatar, held),
    )
    assert np.abs(moving[0] - moving[1]).max() > 0.02
    np.testing.assert_array_equal(still[0], still[1])
    out = f"--out={tmp_path / 'x.mp4'}"
    command(tiny_run, "--identity=demo_01", "--mute=lip,eye,head,torso", out)
    shown = np.stack(list(video_reader.read_frames(tmp_path / "x.mp4"))).astype(int)
    assert np.ptp(shown, axis=0).max() <= 4  # what H.264 adds


def test_maps_stand_next_to_the_render(tiny_run, tmp_path):
    out = f"--out={tmp_path / 'x.mp4'}"
    command(tiny_run, "--identity=demo_01", "--frames=3:5", "--maps", out)
    first, _ = video_reader.read_frames(tmp_path / "x.mp4")
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
    expected = frames_of(avatar, motion.tracked(avatar.record, [7]))[0]
    assert np.abs(composed - expected).mean() < 0.01


def test_backgrounds(avatar, tmp_path):
    record = avatar.record
    size = record.camera.shape
    assert backdrop.find("none", record) is None
    for text in ("#ff8000", "FF8000"):
        np.testing.assert_allclose(
            backdrop.find(text, record), np.full((*size, 3), [1, 128 / 255, 0]), 1e-6
        )
    # Twice as wide as high: the frame shows the middle half.
    wide = np.zeros((50, 100, 3), np.uint8)
    wide[:, 25:75] = 255, 0, 0
    image_file.write(tmp_path / "wide.png", wide)
    image = backdrop.find(str(tmp_path / "wide.png"), record)
    assert image.shape == (*size, 3)
    np.testing.assert_allclose(image[:, 1:-1].mean((0, 1)), [1, 0, 0], atol=0.01)
    with pytest.raises(ValueError, match="purplish is neither plate"):
        backdrop.find("purplish", record)


def test_background_shines_through_as_far_as_nobody_is_there(avatar):
    shown = motion.tracked(avatar.record, [7])
    over = {}
    for colour in "black", "green":
        behind = backdrop.find(colour, avatar.record)
        over[colour] = next(
            frame_stream.render(avatar.renderer, shown.frames(), behind)
        )
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
    assert motion.select_frames(avatar.record, text) == frames


def test_someone_else_drives(tiny_run, tmp_path):
    """Lips of another identity of the run, then all of an identity folder."""
    me, you = tiny_run.names
    out = tmp_path / "x.mp4"
    sources = (f"--lip={you}", f"--drive={tiny_run.data / you}")
    for source in sources:
        command(tiny_run, f"--identity={me}", source, "--frames=2:6", f"--out={out}")
        assert len(list(decoded(out))) == 4
    message = refusal(tiny_run, f"--identity={me}", "--drive=nobody")
    assert (
        "--drive=nobody" in message and you in message and "identity folder" in message
    )


def decoded(path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_a_prior_renders_and_scores_someone_it_has_not_seen(tiny_run, tmp_path):
    source = tiny_run.data / tiny_run.names[0]
    flags = [f"--workdir={tiny_run.workdir}", f"--reference={source}"]
    assert render.main([*flags, "--frames=0:3", f"--out={tmp_path / 'x.mp4'}"]) == 0
    assert len(list(decoded(tmp_path / "x.mp4"))) == 3
    flags += ["--max-frames=2", f"--out={tmp_path / 'score'}"]
    assert render.main(["evaluate", *flags]) == 0
    found = json.loads((tmp_path / "score" / "metrics.json").read_text())
    assert found["identities"][tiny_run.names[0]]["tracked"]["frames"] == 2
