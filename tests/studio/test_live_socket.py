"""An avatar over a websocket: sound in, pictures with their sound out."""

import contextlib
import json
import socket as socketlib
import struct
import time

import cv2
import numpy as np
import pytest
import served_studio
import websockets.sync.client

SAMPLES = 640


class Client:
    """Collects what a studio sends."""

    def __init__(self, socket):
        self.socket, self.taking = socket, True
        self.messages, self.numbers, self.sound, self.pictures = [], [], [], []

    def read(self, until, seconds=120.0):
        """Reads until `until()` is true."""
        end = time.monotonic() + seconds
        while not until():
            data = self.socket.recv(timeout=end - time.monotonic())
            if isinstance(data, str):
                self.messages.append(json.loads(data))
                assert "error" not in self.messages[-1], self.messages[-1]
                continue
            number, length = struct.unpack_from("<II", data)
            self.numbers.append(number)
            self.sound.append(np.frombuffer(data, "<i2", SAMPLES, 8))
            if length & 0x7FFFFFFF:
                assert len(data) == 8 + 2 * SAMPLES + (length & 0x7FFFFFFF)
                encoded = np.frombuffer(data[8 + 2 * SAMPLES :], np.uint8)
                self.pictures.append(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
                if self.taking:
                    self.send(received=number)

    def frames(self, count):
        """Reads so many frames more."""
        wanted = len(self.numbers) + count
        self.read(lambda: len(self.numbers) >= wanted)

    def send(self, **message):
        self.socket.send(json.dumps(message))


@pytest.fixture(scope="module")
def address(spoken_run, tmp_path_factory):
    """Of an avatar in a studio that all tests here ask, as opening it takes seconds."""
    root = tmp_path_factory.mktemp("studio")
    with served_studio.serving(root) as studio:
        (root / "runs" / "me").symlink_to(spoken_run.workdir)
        live = studio.address.replace("http", "ws") + "/api/live/me"
        yield f"{live}?identity={spoken_run.name}&size=64"


@contextlib.contextmanager
def connected(address):
    """A socket to an avatar; that of the test before may still be closing."""
    connect = websockets.sync.client.connect
    while True:
        with connect(address, max_size=None, close_timeout=1) as socket:
            if "opening" in socket.recv():
                yield socket
                return
        time.sleep(0.05)


@pytest.fixture
def client(address):
    with connected(address) as socket:
        client = Client(socket)
        client.read(lambda: client.messages and "ready" in client.messages[-1])
        yield client


def test_sound_comes_back_whole_with_pictures(client, spoken_run):
    ready = client.messages[-1]["ready"]
    assert ready["name"] == spoken_run.name and ready["fps"] == 25
    assert len(ready["ranges"]["lip"]) == spoken_run.record.rest.lip.size
    said = np.int16(np.clip(spoken_run.sound, -1, 1) * 32767)
    for piece in np.array_split(said, 7):
        client.socket.send(piece.astype("<i2").tobytes())
    client.frames(70)
    assert client.numbers == list(range(len(client.numbers)))
    heard = np.concatenate(client.sound).astype(int)
    first = np.flatnonzero(heard)[0] - np.flatnonzero(said)[0]
    assert np.abs(heard[first : first + len(said)] - said).max() <= 1
    assert len(client.pictures) >= 3
    reports = [m["report"] for m in client.messages if "report" in m]
    assert reports[-1]["latency"] >= ready["latency"] and reports[-1]["size"] >= 64


def test_settings_change_the_picture(client):
    client.send(sources={"lip": "still", "eye": "open", "head": "still"})
    client.frames(60)
    before = client.pictures[-1]
    client.send(background="#00ff00", map="regions", controls={"yaw": 8, "lip": [1]})

    def changed():  # with the map to its right
        height, width = client.pictures[-1].shape[:2]
        side = client.pictures[-1][:, :height].astype(float)
        return width == 2 * height and (side[..., 1].mean() > before[..., 1].mean() + 5)

    client.read(changed)


def test_its_own_clip_is_played_with_its_sound(client):
    client.send(play={"own": True})
    client.read(lambda: any(sound.any() for sound in client.sound))


def test_an_interruption_silences_a_file_that_plays(client, spoken_run):
    client.send(play={"clip": "nobody"})
    with pytest.raises(AssertionError, match="no sound"):
        client.frames(60)
    minute = np.full(16000 * 20, 8000, "<i2")
    client.socket.send(minute.tobytes())
    client.read(lambda: any(sound.any() for sound in client.sound))
    client.send(interrupt=True)
    client.read(lambda: {"interrupted": True} in client.messages)
    client.frames(60)
    assert not np.concatenate(client.sound[-10:]).any()


def test_what_cannot_be_set_is_answered_with_a_sentence(client):
    for message in (
        {"gain": {"nose": 1}},
        {"gain": 3},
        {"controls": {"yaw": "x"}},
        {"controls": {"wings": 1}},
        {"background": "/etc/passwd"},
        {"background": "clouds"},
        {"map": "gold"},
        {"sources": {"lip": "/etc/lip.csv"}},
        [],
    ):
        client.socket.send(json.dumps(message))
        with pytest.raises(AssertionError, match="error"):
            client.frames(60)
        client.frames(3)  # the avatar moves on


def test_a_client_that_takes_no_pictures_hears_all_the_same(client):
    client.taking = False
    client.frames(60)
    before = len(client.pictures)
    client.socket.send(np.full(16000, 8000, "<i2").tobytes())
    client.frames(40)
    assert len(client.pictures) == before <= 3
    assert np.concatenate(client.sound[-40:]).any()
    client.taking = True
    for number in range(2):
        client.send(received=number)
    client.read(lambda: len(client.pictures) > before)


def test_a_microphone_that_is_ahead_loses_its_oldest_sound(client):
    client.send(microphone=True)
    client.socket.send(np.full(16000, 8000, "<i2").tobytes())
    for _ in range(2):
        client.socket.send(np.full(SAMPLES, 9000, "<i2").tobytes())
    client.read(lambda: client.sound and (client.sound[-1] == 9000).any())
    heard = np.concatenate(client.sound)
    assert (heard == 8000).sum() <= 5 * SAMPLES


def test_a_connection_that_breaks_leaves_its_place(address):
    for _ in range(3):  # of two places
        with connected(address) as socket:
            at_once = struct.pack("ii", 1, 0)  # without a farewell
            socket.socket.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_LINGER, at_once)
            socket.socket.close()


def test_the_number_of_avatars_at_once_is_limited(client, address):
    with connected(address), websockets.sync.client.connect(address) as third:
        assert "2 avatars are talking already" in third.recv()
