"""Sound in, frames out: streamed, from files, by tables, and what is refused."""

import csv
import json
import shutil

import av
import numpy as np
import pytest
import scipy.io.wavfile

import render
from configs import audio2motion as audio2motion_config
from lokitalk_jax import demo, structs
from lokitalk_jax.avatar import curves, drivers, talking
from lokitalk_jax.avatar.run import Run
from lokitalk_jax.avatar.talking import LiveAvatar, Sources
from lokitalk_jax.data import clip_records
from lokitalk_jax.speech import (
    audio2motion,
    lips,
    spoken_clip,
    voice,
)
from lokitalk_jax.training import voice_fitting

TRAINING = audio2motion.Training(steps=30, batch=2, frames=10)
SECONDS = 1.5


@pytest.fixture(scope="module")
def spoken_run(tiny_run, tmp_path_factory):
    """The tiny run with a voice, and a sound file."""
    root = tmp_path_factory.mktemp("spoken")
    shutil.copytree(tiny_run.workdir, root / "run")
    people = [spoken_clip.of_record(one) for one in clip_records.load_all(root / "run")]
    spec = audio2motion.Spec(members=2, lip_dim=people[0].lip.shape[-1])
    voice.save(root / "run", voice.fit(people, [], spec, TRAINING, seed=0))
    heard = spoken_clip.samples(people[0])[: int(SECONDS * structs.AUDIO_RATE)]
    scipy.io.wavfile.write(root / "said.wav", structs.AUDIO_RATE, heard)
    return root / "run", tiny_run.names[0], root / "said.wav"


def frames_of(live, heard, sizes):
    frames, at = [], 0
    for size in sizes:
        frames += live.push(heard[at : at + size])
        at += size
    return np.stack(frames + live.finish())


def test_training_fits_a_voice_that_is_kept(tiny_run, tmp_path):
    shutil.copytree(tiny_run.workdir, tmp_path / "run")
    c = audio2motion_config.get_config("cpu")
    c.voice.update(steps=2, batch=1, frames=5)
    voice_fitting.fit_voice(c, tmp_path / "run")
    made = voice.load(tmp_path / "run")
    assert set(made.trust) == set(tiny_run.names)
    assert all(-1 <= found <= 1 for found in made.trust.values())
    again = voice.load(tmp_path / "run")
    person = clip_records.load(tmp_path / "run", tiny_run.names[0])
    mean, variance = voice.predict(again, spoken_clip.of_record(person))
    assert mean.shape == variance.shape == (50, 3) and (variance > 0).all()


def test_clips_without_sound_teach_no_voice(tiny_run):
    people = map(spoken_clip.of_record, clip_records.load_all(tiny_run.workdir))
    mute = [one._replace(audio=None) for one in people]
    with pytest.raises(ValueError, match="none of the clips has sound: demo_00, demo"):
        voice.fit(mute, [], audio2motion.Spec(), TRAINING, seed=0)


def test_streaming_gives_the_frames_of_the_whole(spoken_run):
    run, name, path = spoken_run
    heard = scipy.io.wavfile.read(path)[1]
    whole = frames_of(LiveAvatar.load(run, name), heard, [len(heard)])
    pieces = frames_of(LiveAvatar.load(run, name), heard, [700] * 40)
    assert len(whole) == np.ceil(SECONDS * structs.FPS)
    assert whole.shape == pieces.shape
    assert np.abs(whole.astype(int) - pieces).max() <= 1
    assert (whole[0] != whole[-1]).any()


def test_frames_come_within_the_stated_latency(spoken_run):
    run, name, path = spoken_run
    live = LiveAvatar.load(run, name)
    assert live.latency <= 0.32
    frames = live.push(scipy.io.wavfile.read(path)[1][: structs.AUDIO_RATE])
    assert len(frames) >= int((1 - live.latency) * structs.FPS)


def test_state_does_not_grow_with_the_sound(spoken_run):
    run, name, path = spoken_run
    heard, opened = scipy.io.wavfile.read(path)[1], Run(run)
    person = spoken_clip.of_record(opened.record(name))
    mouth = lips.lip_limits(opened.fitted, person)
    state, sizes = lips.begin(voice.load(run)), []
    for _ in range(8):
        state, _ = lips.push(state, voice.load(run), mouth, 1.0, heard)
        sizes.append(len(state.rows) + len(state.heard.samples))
    assert max(sizes[2:]) <= sizes[1] + 200


def test_a_file_becomes_a_video_of_its_length(spoken_run, tmp_path):
    run, name, path = spoken_run
    out, table = tmp_path / "out.mp4", tmp_path / "curves.csv"
    speak = [f"--workdir={run}", f"--identity={name}", f"--audio={path}"]
    render.main([*speak, f"--out={out}", f"--export-curves={table}"])
    with av.open(str(out)) as video:
        for stream in video.streams:
            assert float(stream.duration * stream.time_base) == pytest.approx(
                SECONDS, abs=0.04
            )
        assert "synthetic media" in video.metadata["comment"]

    # The table drives it as the sound did.
    again = tmp_path / "again.mp4"
    fed = [f"--{region}={table}" for region in ("lip", "eye", "head")]
    back = tmp_path / "back.csv"
    render.main([*speak, *fed, f"--out={again}", f"--export-curves={back}"])
    one, other = (np.loadtxt(p, delimiter=",", skiprows=1) for p in (table, back))
    np.testing.assert_allclose(one, other, atol=1e-4)
    with open(table) as file:
        assert next(csv.reader(file)) == curves.header(3)


def test_what_cannot_speak_is_refused(spoken_run, tiny_run, tmp_path):
    run, name, path = spoken_run
    short = tmp_path / "short.csv"
    short.write_text("eye0,eye1\n1,1\n1,1\n")
    bad = tmp_path / "bad.csv"
    bad.write_text("eye0,eye1\n1,1\n1,x\n")
    silent = tmp_path / "silent.wav"
    scipy.io.wavfile.write(silent, 16_000, np.zeros(16_000, "i2"))
    out = tmp_path / "out.mp4"
    refused = {
        (run, path, f"--eye={short}"): "a table of curves ends at frame 2",
        (run, path, f"--eye={bad}"): "bad.csv, line 3",
        (run, path, f"--lip={short}"): "has no column lip0",
        (run, path, "--eye=nobody"): "nor is it auto, open, a .csv file",
        (run, silent, "--eye=open"): "silent.wav is silent",
        (run, path, "--gain=ear:2"): "--gain knows lip, eye and head, not ear",
        (tiny_run.workdir, path, "--eye=open"): "no voice to drive it from sound",
    }
    for (where, sound, flag), message in refused.items():
        with pytest.raises(SystemExit) as stopped:
            render.main(
                [f"--workdir={where}", f"--identity={name}", f"--audio={sound}"]
                + [flag, f"--out={out}"]
            )
        assert message in str(stopped.value), message
        assert not out.exists()


def test_evaluation_by_sound_has_its_columns(spoken_run, tmp_path):
    run, name, _ = spoken_run
    render.main(
        [f"--workdir={run}", f"--identity={name}", "--evaluate", "--signals=audio"]
        + [f"--out={tmp_path}", "--max-frames=2"]
    )
    scores = json.loads((tmp_path / "metrics.json").read_text())["identities"][name]
    assert set(scores) == {"audio", "still_mouth", "shuffled_audio"}
    assert all(column["frames"] == 2 for column in scores.values())


def test_silence_closes_the_mouth(spoken_run):
    run, name, path = spoken_run
    opened, heard = Run(run), scipy.io.wavfile.read(path)[1]
    person = spoken_clip.of_record(opened.record(name))
    mouth = lips.lip_limits(opened.fitted, person)
    silence = np.zeros(structs.AUDIO_RATE, np.float32)
    state, spoken = lips.push(
        lips.begin(voice.load(run)),
        voice.load(run),
        mouth,
        1.0,
        np.concatenate([heard, silence]),
    )
    _, rest = lips.finish(state, voice.load(run), mouth, 1.0)
    found = np.concatenate([spoken, rest])
    np.testing.assert_allclose(found[-5], mouth.closed, atol=1e-5)
    assert np.abs(found[:20] - mouth.closed).max() > 0.05


def test_lips_pause_as_the_person_does(spoken_run, tmp_path):
    run, name, path = spoken_run
    opened = Run(run)
    heard, rate = scipy.io.wavfile.read(path)[1], structs.AUDIO_RATE
    pause = np.zeros(int(0.4 * rate), np.float32)
    sound = np.concatenate([heard[:rate], pause, heard[rate : 2 * rate]])
    path = tmp_path / "paused.wav"
    scipy.io.wavfile.write(path, rate, np.int16(sound * 32767))
    frames = np.arange(len(sound) * structs.FPS // rate)
    lip = np.random.default_rng(0).normal(0, 0.2, (len(frames), 3)).astype(np.float32)
    between = slice(25, 35)
    lip[between] = 1.5
    clip = spoken_clip.of_record(opened.record(name))._replace(
        audio=path, lip=lip, train_frames=frames
    )
    made = lips.lip_limits(opened.fitted, clip)
    closed = lips.lip_limits(opened.fitted, clip._replace(audio=None))
    np.testing.assert_array_equal(closed.paused, closed.closed)
    assert made.paused.min() > 0.75  # other frames are quiet too
    talking = voice.load(run)
    told = [
        lips.of_rows(talking, one, spoken_clip.rows(talking.spec, clip), len(frames))
        for one in (made, made._replace(paused=closed.closed))
    ]
    assert np.abs(told[0] - told[1])[between].max() > 0.1
    np.testing.assert_allclose(told[0][:20], told[1][:20], atol=1e-6)
    np.testing.assert_allclose(told[0][30], made.paused, atol=0.05)


def test_lips_stay_near_what_was_seen(spoken_run):
    run, name, path = spoken_run
    opened, heard = Run(run), scipy.io.wavfile.read(path)[1]
    person = spoken_clip.of_record(opened.record(name))
    mouth = lips.lip_limits(opened.fitted, person)
    state, wild = lips.push(
        lips.begin(voice.load(run)), voice.load(run), mouth, 50.0, heard
    )
    room = (mouth.high - mouth.low) / 4
    assert (wild <= mouth.high + room).all() and (wild >= mouth.low - room).all()
    assert state.clamped > 0


def test_blinks_come_as_often_as_people_s():
    eyes = curves.blinking(seed=1)
    minutes = 20
    values = np.stack([next(eyes)[0] for _ in range(minutes * 60 * structs.FPS)])
    closed = (values[1:] < 0.2) & (values[:-1] >= 0.2)
    assert 22 < closed.sum() / minutes < 30
    assert values.min() >= 0 and values.max() <= 1
    again = curves.blinking(seed=1)
    np.testing.assert_array_equal(values[:500], [next(again)[0] for _ in range(500)])


def test_own_head_moves_without_a_jump_for_ever(spoken_run):
    run, name, _ = spoken_run
    person = Run(run).record(name)
    head = curves.own_head(person)
    values = np.stack([next(head)[0] for _ in range(5 * person.frame_count)])
    steps = np.abs(np.diff(values, axis=0)).max()
    seen = person.signals.head[person.train_frames]
    assert steps <= np.abs(np.diff(seen, axis=0)).max() * 1.5 + 1e-6
    assert values.min() >= seen.min() - 1e-6 and values.max() <= seen.max() + 1e-6


def test_sources_of_other_people(spoken_run, tiny_run):
    run, name, path = spoken_run
    other = tiny_run.names[1]
    sources = Sources(lip="still", eye=other, head=str(tiny_run.data / other))
    live = LiveAvatar.load(run, name, sources)
    frames = live.push(scipy.io.wavfile.read(path)[1])
    assert len(frames) + len(live.finish()) == np.ceil(SECONDS * structs.FPS)


def test_a_driver_s_clip_may_be_longer_than_one_s_own(spoken_run, tmp_path):
    workdir, name, _ = spoken_run
    run = Run(workdir)
    (longer,) = demo.make_cast(tmp_path, identities=1, seconds=3, size=48, workers=1)
    driver = drivers.load_driver(run, str(longer))
    late = run.record(name).frame_count + 5
    assert late < driver.frame_count
    speaking = talking.Speaking(run, name, Sources(lip=str(longer), head=str(longer)))
    sound = np.zeros((late + 1) * structs.AUDIO_RATE // structs.FPS, np.float32)
    signals = [one for _, one in speaking.push(sound)][late]
    np.testing.assert_allclose(signals.lip, driver.signals.lip[late], atol=1e-6)


@pytest.fixture
def with_features(spoken_run, tmp_path):
    """A run whose voice hears DeepSpeech's features, and clips that have them."""
    workdir = shutil.copytree(spoken_run[0], tmp_path / "run")
    clips = []
    for live in clip_records.load_all(workdir):
        clip = spoken_clip.of_record(live)._replace(source=tmp_path / live.name)
        clip.source.mkdir()
        frames = np.random.default_rng(0).normal(size=(len(clip.lip), 16, 29))
        np.save(clip.source / "aud_ds.npy", frames)
        clips.append(clip)
    spec = voice.spec_for("aud_ds.npy", clips)._replace(members=2)
    voice.save(workdir, voice.fit(clips, [], spec, TRAINING, seed=0))
    return workdir, spoken_run[1], spoken_run[2], clips


def test_features_of_another_program_drive_lips(with_features, tmp_path):
    workdir, name, sound, _ = with_features
    frames = int(np.ceil(SECONDS * structs.FPS))
    told = []
    for seed in range(2):
        path = tmp_path / f"{seed}.npy"
        np.save(path, np.random.default_rng(seed).normal(size=(frames, 16, 29)))
        sources = Sources(eye="open", head="still", features=path)
        speaking = talking.Speaking(Run(workdir), name, sources, sound)
        told.append(
            [s.lip for _, s in talking.SpokenFile(speaking, sound)],
        )
        assert len(told[-1]) == frames
    wild = sources._replace(gain={"lip": 50.0})
    speaking = talking.Speaking(Run(workdir), name, wild, sound)
    assert len(list(talking.SpokenFile(speaking, sound))) == frames
    assert speaking.clamped > frames / 2
    assert np.abs(np.subtract(*told)).max() > 0.05  # they are heard


def test_features_and_voice_must_fit(with_features, spoken_run, tmp_path):
    workdir, name, sound, _ = with_features
    with pytest.raises(ValueError, match="hears aud_ds.npy, and the features"):
        LiveAvatar.load(workdir, name)
    np.save(tmp_path / "hu.npy", np.zeros((38, 2, 1024)))
    sources = Sources(features=tmp_path / "hu.npy")
    with pytest.raises(ValueError, match="features of whole files, so it cannot be"):
        LiveAvatar.load(workdir, name, sources)
    with pytest.raises(ValueError, match="--features goes with --lip=audio"):
        talking.Speaking(Run(workdir), name, sources._replace(lip="still"), sound)
    with pytest.raises(ValueError, match="HuBERT features, the voice has learned from"):
        talking.Speaking(Run(workdir), name, sources, sound)
    with pytest.raises(ValueError, match="hears phones"):
        talking.Speaking(Run(spoken_run[0]), name, sources, sound)


def test_voices_hear_what_they_are_told_to(with_features):
    *_, clips = with_features
    assert voice.spec_for("both", clips).inputs == 68
    with pytest.raises(ValueError, match="voice.hears is 'noise'; it is phones, mel"):
        voice.spec_for("noise", clips)
    with pytest.raises(ValueError, match="no such file of audio features"):
        voice.spec_for("aud_hu.npy", clips)
