"""examples/livetalking_avatar.py, with a stand-in for the classes of LiveTalking."""

import dataclasses
import importlib.util
import pathlib
import queue
import sys
import types

import numpy as np
import pytest

import lokitalk_jax as lokitalk

_PATH = pathlib.Path(__file__).resolve().parents[1] / "examples"
CHUNK = 320  # samples, 20 ms
BATCH = 4


@dataclasses.dataclass
class AudioFrameData:
    data: np.ndarray
    type: int = 0
    userdata: dict = dataclasses.field(default_factory=dict)


class BaseASR:
    """Sound comes in through `queue`; silence where there is none."""

    def __init__(self, opt, parent=None):
        self.opt, self.parent, self.batch_size = opt, parent, opt.batch_size
        self.chunk = CHUNK
        self.queue, self.output_queue = queue.Queue(), queue.Queue()
        self.feat_queue = queue.Queue(maxsize=2)

    def put_audio_frame(self, audio_chunk, datainfo):
        self.queue.put(AudioFrameData(audio_chunk, 0, datainfo))

    def get_audio_frame(self):
        try:
            return self.queue.get(block=False)
        except queue.Empty:
            return AudioFrameData(np.zeros(CHUNK, np.float32), 1, {})


class BaseAvatar:
    """`step` is one round of its threads."""

    def __init__(self, opt):
        self.opt, self.batch_size = opt, opt.batch_size
        self.index, self.shown, self.heard = 0, [], []

    def step(self):
        self.asr.run_step()
        if self.asr.feat_queue.empty():
            return
        features = self.asr.feat_queue.get()
        sound = [self.asr.output_queue.get(block=False) for _ in range(2 * BATCH)]
        if all(one.type for one in sound):
            pictures = [None] * BATCH
        else:
            pictures = self.inference_batch(self.index, features)
        for number, picture in enumerate(pictures):
            pair = sound[2 * number : 2 * number + 2]
            if all(one.type for one in pair):
                self.shown.append(self.frame_list_cycle[0])
            else:
                self.shown.append(self.paste_back_frame(picture, self.index))
            self.heard += pair
            self.index += 1


@pytest.fixture
def made(monkeypatch, tmp_path, spoken_run):
    """The module, and a session of the avatar `me`."""
    known = {}

    def register(category, name):
        return lambda cls: known.setdefault((category, name), cls)

    def module(name, **contents):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        vars(sys.modules[name]).update(contents)

    module("registry", register=register)
    module("avatars")
    module("avatars.base_avatar", BaseAvatar=BaseAvatar, AudioFrameData=AudioFrameData)
    module("avatars.audio_features")
    module("avatars.audio_features.base_asr", BaseASR=BaseASR)
    spec = importlib.util.spec_from_file_location(
        "lokitalk_avatar", _PATH / "livetalking_avatar.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    opt = types.SimpleNamespace(batch_size=BATCH, fps=25)
    avatar = lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name)
    session = known["avatar", "lokitalk"](opt=opt, model=None, avatar=avatar)
    return example, session


def test_each_picture_leaves_with_its_own_sound(made, spoken_run):
    _, session = made
    said = spoken_run.sound[: len(spoken_run.sound) // CHUNK * CHUNK]
    for number, chunk in enumerate(said.reshape(-1, CHUNK)):
        session.asr.put_audio_frame(chunk, {"number": number})
    for _ in range(3):
        session.step()
    assert session.is_speaking()
    for _ in range(10):
        session.step()
    assert not session.is_speaking()
    assert len(session.heard) == 2 * len(session.shown)

    heard = np.concatenate([one.data for one in session.heard])
    heard = heard[np.flatnonzero(heard)[0] - np.flatnonzero(said)[0] :]
    np.testing.assert_array_equal(heard[: len(said)], said)
    numbers = [one.userdata["number"] for one in session.heard if one.userdata]
    assert numbers == list(range(len(said) // CHUNK))
    # As the same avatar draws the same sound pushed at once.
    live = lokitalk.Run(spoken_run.workdir).avatar(spoken_run.name).live()
    live.prepare()
    expected = [f.rgb[..., ::-1] for f in live.push(said[: 24 * 640])]
    for shown, frame in zip(session.shown[:20], expected[:20], strict=True):
        assert shown.flags["C_CONTIGUOUS"] and shown.flags["WRITEABLE"]
        assert np.abs(shown.astype(int) - frame.astype(int)).max() <= 1


def test_a_clip_of_livetalking_is_not_drawn(made, monkeypatch):
    _, session = made
    monkeypatch.setattr(
        session.asr,
        "get_audio_frame",
        lambda: AudioFrameData(np.zeros(CHUNK, np.float32), 2),
    )
    for _ in range(4):
        session.step()
    # The first batch begins with the silence before the clip.
    assert {one.type for one in session.heard[2 * BATCH :]} == {2}
    assert len(session.shown) > BATCH
    assert all(one is session.frame_list_cycle[0] for one in session.shown[BATCH:])


def test_an_avatar_is_a_folder_of_livetalking(made, monkeypatch, tmp_path, spoken_run):
    example, _ = made
    (tmp_path / "data" / "avatars").mkdir(parents=True)
    (tmp_path / "data" / "avatars" / "me").symlink_to(spoken_run.workdir)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="identities"):  # this run has two
        example.load_avatar("me")
    with pytest.raises(ValueError, match="nobody"):
        example.load_avatar("nobody")
