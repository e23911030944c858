"""Motion from speech: sources, gain, signal tables, features of other programs."""

import json
import shutil

import av
import numpy as np
import pytest
import scipy.io.wavfile

import lokitalk_jax as lokitalk
from lokitalk_jax import demo, structs
from lokitalk_jax.avatar import drivers, signal_table
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.avatar.speaking import SpeechMotion, SpokenFile
from lokitalk_jax.cli import render
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import lip_limits, spoken_clip, voice
from tests import spoken_run as spoken_runs

STILL = Sources(eye="open", head="still")


def motion_of(s, sources, run=None):
    """All frames of the sound file."""
    speech = SpeechMotion(run or s.run, s.name, sources, s.opened)
    return speech, list(SpokenFile(speech, s.opened))


def test_gain_scales_each_region_about_rest(spoken_run, tmp_path):
    table = tmp_path / "eyes.csv"
    openness = np.linspace(0.2, 1, 50)
    table.write_text("eye0,eye1,eye2\n" + "".join(f"{x},{x},0\n" for x in openness))
    sources = Sources(eye=str(table))
    half = sources._replace(gain={"lip": 0.5, "eye": 0.5, "head": 0.5})
    _, plain = motion_of(spoken_run, sources)
    _, halved = motion_of(spoken_run, half)
    rest = spoken_run.record.rest
    for one, other in zip(plain, halved, strict=True):
        for region in structs.REGIONS:
            still = getattr(rest, region)
            np.testing.assert_allclose(
                getattr(other.signals, region) - still,
                0.5 * (getattr(one.signals, region) - still),
                atol=1e-5,
            )
    moved = np.stack([one.head_to_camera for one in plain])
    assert np.ptp(moved, axis=0).max() > 0


def test_lips_with_any_gain_stay_near_the_range_of_training(spoken_run):
    speech, frames = motion_of(spoken_run, STILL._replace(gain={"lip": 50.0}))
    limits = spoken_run.limits
    lip = np.stack([frame.signals.lip for frame in frames])
    np.testing.assert_allclose(lip, lip_limits.clipped(limits, lip), atol=1e-5)
    assert speech.clipped > speech.frames / 2
    with pytest.raises(ValueError, match="look_ahead=0 s is out of range"):
        SpeechMotion(spoken_run.run, spoken_run.name, Sources(look_ahead=0.0))
    with pytest.raises(ValueError, match="gain=lip:-1 must"):
        SpeechMotion(spoken_run.run, spoken_run.name, Sources(gain={"lip": -1}))


def test_a_file_becomes_a_video_of_its_length(spoken_run, tmp_path):
    out, table = tmp_path / "out.mp4", tmp_path / "signals.csv"
    speak = [f"--workdir={spoken_run.workdir}", f"--identity={spoken_run.name}"]
    speak += [f"--audio={spoken_run.path}"]
    assert render.main([*speak, f"--out={out}", f"--export-curves={table}"]) == 0
    with av.open(str(out)) as video:
        for stream in video.streams:
            assert float(stream.duration * stream.time_base) == pytest.approx(
                spoken_runs.SECONDS, abs=0.04
            )
        assert "synthetic media" in video.metadata["comment"]


def test_a_signal_table_drives_as_the_sound_did(spoken_run, tmp_path):
    table, again = tmp_path / "signals.csv", tmp_path / "again.csv"
    speech = SpeechMotion(spoken_run.run, spoken_run.name)
    frames = SpokenFile(speech, spoken_run.opened)
    first = list(signal_table.recorded(frames, table))
    sources = Sources(lip=str(table), eye=str(table), head=str(table))
    _, back = motion_of(spoken_run, sources)
    assert len(back) == len(first) == spoken_runs.FRAMES
    for one, other in zip(first, back, strict=True):
        for a, b in zip(one.signals, other.signals, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
        np.testing.assert_allclose(one.head_to_camera, other.head_to_camera, atol=1e-4)
    list(signal_table.recorded(back, again))
    assert again.read_text().splitlines()[0] == table.read_text().splitlines()[0]


def test_a_table_is_written_whole_or_not_at_all(spoken_run, tmp_path):
    table = tmp_path / "signals.csv"
    table.write_text("mine")

    def frames():
        speech = SpeechMotion(spoken_run.run, spoken_run.name)
        yield next(iter(SpokenFile(speech, spoken_run.opened)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(signal_table.recorded(frames(), table))
    assert table.read_text() == "mine" and list(tmp_path.iterdir()) == [table]


def test_the_files_of_speech_are_not_replaced_by_it(spoken_run, tmp_path):
    sound = shutil.copyfile(spoken_run.path, tmp_path / "said.wav")
    avatar = lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name)
    with pytest.raises(ValueError, match="said.wav is also audio="):
        avatar.speak(sound).save(sound)
    table = tmp_path / "table.csv"
    avatar.speak(sound).save_curves(table)
    before = table.read_bytes()
    with pytest.raises(ValueError, match="table.csv is also eye="):
        avatar.speak(sound, eye=table).save_curves(table)
    assert table.read_bytes() == before


def test_a_table_that_cannot_drive_is_refused_at_once(spoken_run, tmp_path):
    speech = SpeechMotion(spoken_run.run, spoken_run.name, STILL)
    lips = tmp_path / "lips.csv"
    lips.write_text("lip0,lip1\n1,1\n")
    for table, words in {
        "typo.csv": "no such file",
        lips: "has no column eye0",
    }.items():
        with pytest.raises(ValueError, match=words):
            speech.change(STILL._replace(eye=str(table)))
    with pytest.raises(ValueError, match="gain=lip:-1 must"):
        speech.change(STILL._replace(eye="auto", gain={"lip": -1}))
    frames = list(speech.push(np.zeros(16_000, np.float32)))
    assert frames and np.ptp([one.signals.eye for one in frames], axis=0).max() == 0


def test_input_that_cannot_be_used_is_refused(spoken_run, tiny_run, tmp_path, capsys):
    short = tmp_path / "short.csv"
    short.write_text("eye0,eye1,eye2\n1,1,0\n1,1,0\n")
    bad = tmp_path / "bad.csv"
    bad.write_text("eye0,eye1,eye2\n1,1,0\n1,x,0\n")
    silent = tmp_path / "silent.wav"
    scipy.io.wavfile.write(silent, 16_000, np.zeros(16_000, "i2"))
    run, path = spoken_run.workdir, spoken_run.path
    refused = {
        (run, path, f"--eye={short}"): "file of signals ends at frame 2",
        (run, path, f"--eye={bad}"): "bad.csv, line 3",
        (run, path, f"--lip={short}"): "has no column lip0",
        (
            run,
            path,
            "--eye=nobody",
        ): "--eye=nobody is neither auto, open, a .csv file, an identity of ",
        (run, silent, "--eye=open"): "silent.wav is silent",
        (
            run,
            path,
            "--gain=ear:2",
        ): "--gain=ear names no region; the regions are lip, eye",
    }
    out = tmp_path / "out.mp4"
    for (where, sound, flag), message in refused.items():
        flags = [f"--workdir={where}", f"--identity={spoken_run.name}", flag]
        assert render.main([*flags, f"--audio={sound}", f"--out={out}"]) == 1
        assert message in capsys.readouterr().err
        assert not out.exists()


def test_evaluation_by_sound_has_its_columns(spoken_run, tmp_path):
    name = spoken_run.name
    flags = [f"--workdir={spoken_run.workdir}", f"--identity={name}"]
    flags += ["--signals=audio", f"--out={tmp_path}", "--max-frames=2"]
    assert render.main(["evaluate", *flags]) == 0
    scores = json.loads((tmp_path / "metrics.json").read_text())["identities"][name]
    assert set(scores) == {"audio", "still_mouth", "shuffled_audio"}
    assert all(column["frames"] == 2 for column in scores.values())


def test_regions_can_be_driven_by_other_identities(spoken_run, tiny_run):
    other = tiny_run.names[1]
    sources = Sources(lip="still", eye=other, head=str(tiny_run.data / other))
    speech, frames = motion_of(spoken_run, sources)
    assert len(frames) == speech.frames == spoken_runs.FRAMES
    driver = drivers.load_speaker(spoken_run.run, other).record
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(
            frame.signals.eye, driver.signals.eye[number], atol=1e-6
        )
        np.testing.assert_array_equal(frame.signals.lip, spoken_run.record.rest.lip)


def test_the_clip_of_a_driver_may_be_longer(spoken_run, tmp_path):
    run = spoken_run.run
    (longer,) = demo.make_cast(tmp_path, identities=1, seconds=3, size=48, workers=1)
    driver = drivers.load_speaker(run, str(longer)).record
    late = spoken_run.record.frame_count + 5
    assert late < driver.frame_count
    sources = Sources(lip=str(longer), head=str(longer))
    speech = SpeechMotion(run, spoken_run.name, sources)
    sound = np.zeros((late + 1) * structs.AUDIO_RATE // structs.FPS, np.float32)
    frame = list(speech.push(sound))[late]
    np.testing.assert_allclose(frame.signals.lip, driver.signals.lip[late], atol=1e-6)


@pytest.fixture(scope="module")
def with_features(spoken_run, tmp_path_factory):
    """The run with a voice on features of DeepSpeech."""
    root = tmp_path_factory.mktemp("features")
    workdir = shutil.copytree(spoken_run.workdir, root / "run")
    clips = []
    for record in clip_records.load_all(workdir):
        clip = spoken_clip.of_record(record)._replace(source=root / record.name)
        clip.source.mkdir()
        frames = np.random.default_rng(0).normal(size=(len(clip.lip), 16, 29))
        np.save(clip.source / "aud_ds.npy", frames)
        clips.append(clip)
    fitted = spoken_runs.fitted("aud_ds.npy", clips, spoken_run.run.lip_basis)
    voice.save(workdir, fitted)
    return OpenRun(workdir)


def test_features_of_another_program_drive_lips(with_features, spoken_run, tmp_path):
    lips = []
    for seed in range(2):
        path = tmp_path / f"{seed}.npy"
        rng = np.random.default_rng(seed)
        np.save(path, rng.normal(size=(spoken_runs.FRAMES, 16, 29)))
        sources = STILL._replace(features=path)
        _, frames = motion_of(spoken_run, sources, with_features)
        assert len(frames) == spoken_runs.FRAMES
        lips.append([frame.signals.lip for frame in frames])
    assert np.abs(np.subtract(*lips)).max() > 0.05


def test_features_and_voice_must_fit(with_features, spoken_run, tmp_path):
    run, name, sound = with_features, spoken_run.name, spoken_run.opened
    np.save(tmp_path / "hu.npy", np.zeros((38, 2, 1024)))
    sources = Sources(features=tmp_path / "hu.npy")
    with pytest.raises(ValueError, match="uses aud_ds.npy; give the features"):
        lokitalk.Run(run.workdir).avatar(name).live()
    with pytest.raises(ValueError, match="features of whole files, so it cannot be"):
        SpeechMotion(run, name, sources)
    with pytest.raises(ValueError, match="need lip=audio, not lip=still"):
        SpeechMotion(run, name, sources._replace(lip="still"), sound)
    with pytest.raises(ValueError, match="HuBERT features, and Audio2Motion was train"):
        SpeechMotion(run, name, sources, sound)
    with pytest.raises(ValueError, match="uses phones, computed from the sound"):
        SpeechMotion(spoken_run.run, name, sources, sound)


def lips_in(s, style):
    _, frames = motion_of(s, STILL._replace(style=style))
    return np.stack([frame.signals.lip for frame in frames])


def test_a_style_is_the_identity_s_own_that_of_people_or_somebody_else_s(
    spoken_run, monkeypatch
):
    # Bounds of the lips would hide how far the voice moves them.
    monkeypatch.setattr(lip_limits, "softened", lambda limits, lip: lip)
    monkeypatch.setattr(lip_limits, "clipped", lambda limits, lip: lip)
    own, neutral = lips_in(spoken_run, "own"), lips_in(spoken_run, "neutral")
    assert np.abs(own - neutral).max() > 1e-3
    names = spoken_run.run.identities
    np.testing.assert_allclose(lips_in(spoken_run, names[0]), own, atol=1e-5)
    folder = str(spoken_run.record.source)
    np.testing.assert_allclose(lips_in(spoken_run, folder), own, atol=0.05)
    assert np.abs(lips_in(spoken_run, names[1]) - own).max() > 1e-3
    with pytest.raises(
        ValueError, match="style=loud is neither own, neutral, an identity"
    ):
        motion_of(spoken_run, STILL._replace(style="loud"))
