"""Feeds speech to a running studio as it is made, and writes what the avatar shows.

    lokitalk studio                               # in another terminal
    python examples/feed_sound.py me speech.wav out.mp4

`speech` takes the place of a speech synthesiser: it yields
pieces of sound, as fast as it likes. The studio plays them at their own pace, and the
frames that come back hold the sound that belongs to them.
"""

import json
import struct
import sys
import threading
from collections.abc import Iterator

import cv2
import numpy as np
from websockets.sync.client import ClientConnection, connect

from lokitalk_jax.media import sound_file
from lokitalk_jax.media.video_writer import VideoWriter

RATE, FPS = 16_000, 25
SAMPLES = RATE // FPS


def speech(path: str) -> Iterator[np.ndarray]:
    """Pieces of speech, 16 kHz mono in [-1, 1]."""
    yield from sound_file.open_sound(path).read()


def feed(socket: ClientConnection, path: str) -> None:
    """Sends the speech as 16-bit integers."""
    for piece in speech(path):
        socket.send((piece * 32767).astype("<i2").tobytes())


def frames(socket: ClientConnection) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures [H, W, 3] and their sound [SAMPLES], 25 times a second."""
    picture = None
    for data in socket:
        if isinstance(data, str):
            if "error" in (message := json.loads(data)):
                raise SystemExit(message["error"])
            continue
        number, length = struct.unpack_from("<II", data)
        if length:
            encoded = np.frombuffer(data[8 + 2 * SAMPLES :], np.uint8)
            picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
            socket.send(json.dumps({"received": number}))
        if picture is not None:
            yield picture, np.frombuffer(data, "<i2", SAMPLES, 8)


def main(run: str, path: str, out: str) -> None:
    """Speaks one file."""
    seconds = sum(map(len, speech(path))) / RATE + 2
    size = (256, 256)
    pictures, sound = [], []
    with connect(f"ws://127.0.0.1:8321/api/live/{run}", max_size=None) as socket:
        stream = frames(socket)
        next(stream)  # it is ready
        threading.Thread(target=feed, args=(socket, path)).start()
        for picture, samples in stream:
            pictures.append(cv2.resize(picture, size))
            sound.append(samples)
            if len(sound) >= seconds * FPS:
                break
    with VideoWriter(out, size=size, audio=(np.concatenate(sound), RATE)) as video:
        for picture in pictures:
            video.write(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
