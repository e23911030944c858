"""A talking portrait over a websocket: sound or words of control in, pictures out.

To the server:
  binary   int16 samples, little endian, 16 kHz mono, any number of them
  text     {"gain": {"lip": 1.2}, "controls": {"yaw": 5}, "sources": {"head": "still"},
           "map": "depth", "background": "#204060", "idle": true}, any of them, to
           change them
           {"play": {"clip": "me"}} or {"play": {"sound": KEY}}, to hear a file;
           {"play": {"own": true}}, to move and sound as in its own clip
           {"interrupt": true}, to fall silent at once
           {"microphone": true}, where sound comes as it is spoken: what would be heard
           late is dropped
           {"received": n}, for each picture that arrived

To the client:
  text     {"ready": {...}} once: ranges of the controls, and so on
           {"report": {...}} twice a second, see `live_stream.LiveReport`
           {"interrupted": true}, to drop what was not played yet
           {"error": "..."}
  binary   one frame: uint32 its number, uint32 length of the picture (and in its
           highest bit, whether a map is to the right of it), 640 samples as above, and
           a JPEG; without a picture the one before stays

Frame n is shown while its samples are played, 25 frames a second.
"""

import asyncio
import json
import os
import struct
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from lokitalk_jax import process, structs
from lokitalk_jax.media import sound_file
from lokitalk_jax.studio import commands
from lokitalk_jax.studio.folders import Folders

if TYPE_CHECKING:
    from lokitalk_jax.avatar.live import LiveAvatar, LiveFrame
    from lokitalk_jax.avatar.live_stream import LiveStream

_QUALITY = 90  # of JPEG
_IN_FLIGHT = 2  # pictures that the client has not acknowledged
_MOST_QUEUED = 50  # frames that wait for the connection
_REPORT_EVERY = 12  # frames
_MOST_SOUND = 600.0  # seconds that may wait
_MOST_BEHIND = 0.2  # seconds that a microphone may be ahead of the avatar
_BEHIND = 2 / structs.FPS  # seconds of its sound that are kept then
_SETTINGS = ("gain", "controls", "sources", "map", "background", "idle")
_SOURCES = {"lip": "audio", "eye": "auto", "head": "own"}
_LARGEST = 1024  # pixels
_SIZES = (48, 64, 96, 128, 192, 256)  # of pictures, pixels


class Session:
    """One client and one avatar."""

    def __init__(self, socket: WebSocket, folders: Folders, stream: "LiveStream"):
        """Joins them."""
        self._socket, self._folders, self._stream = socket, folders, stream
        self._in_flight = 0
        self._frames: asyncio.Queue[tuple[LiveFrame, bytes] | None] = asyncio.Queue()
        self._playing = threading.Event()  # set to end the file that plays
        self._microphone = False
        self._ended = "the stream has ended"

    async def run(self) -> None:
        """Serves the client until it leaves."""
        loop = asyncio.get_running_loop()
        live = self._stream.live
        await self._send(ready=described(live))

        def read() -> None:
            unsent = False
            try:
                for frame in self._stream:
                    unsent, picture = unsent or frame.fresh, b""
                    # A slow connection gets fewer pictures, and all of the sound.
                    if unsent and self._in_flight < _IN_FLIGHT:
                        unsent, picture = False, encoded(frame)
                    loop.call_soon_threadsafe(self._queue, (frame, picture))
            except Exception as error:  # `_send_frames` reports it to the client
                self._ended = str(error)
            finally:
                loop.call_soon_threadsafe(self._queue, None)

        reader = asyncio.create_task(asyncio.to_thread(read))
        sender = asyncio.create_task(self._send_frames())
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                try:
                    await self._receive(message)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    await self._send(error=str(error))
        finally:
            self._playing.set()
            await asyncio.to_thread(self._stream.close)
            sender.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)

    def _queue(self, frame: "tuple[LiveFrame, bytes] | None") -> None:
        """Adds a frame; where the connection stands still, those before it go."""
        if self._frames.qsize() > _MOST_QUEUED:
            while not self._frames.empty():
                dropped = self._frames.get_nowait()
                self._count(-bool(dropped and dropped[1]))
        self._count(bool(frame and frame[1]))
        self._frames.put_nowait(frame)

    def _count(self, pictures: int) -> None:
        """Counts pictures in flight; nothing is drawn that could not be sent."""
        self._in_flight = max(self._in_flight + pictures, 0)
        self._stream.draws = self._in_flight < _IN_FLIGHT

    async def _send_frames(self) -> None:
        number = 0
        while (queued := await self._frames.get()) is not None:
            await self._socket.send_bytes(packed(number, *queued))
            number += 1
            if number % _REPORT_EVERY == 0:
                report = self._stream.report._asdict()
                report["waiting"] = self._stream.waiting
                await self._send(report=report)
        await self._send(error=self._ended)

    async def _receive(self, message: Mapping[str, Any]) -> None:
        sound = message.get("bytes")
        if sound is not None:
            if self._stream.waiting > _MOST_SOUND:
                raise ValueError(
                    f"{self._stream.waiting:.0f} s of sound wait, and at most "
                    f"{_MOST_SOUND:.0f} may; send it later"
                )
            if self._microphone and self._stream.waiting > _MOST_BEHIND:
                self._stream.shorten(_BEHIND)
            samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")
            return self._stream.feed(samples.astype(np.float32) / 32768)
        given = json.loads(message["text"])
        if not isinstance(given, dict):
            raise ValueError(f"{message['text']!r} must be a JSON object")
        if "received" in given:
            self._count(-1)
        self._microphone = bool(given.get("microphone", self._microphone))
        if "interrupt" in given:
            await self._interrupt()
        if "play" in given:
            await self._play(given["play"])
        if settings := {k: given[k] for k in _SETTINGS if k in given}:
            await asyncio.to_thread(configure, self._stream, settings)

    async def _interrupt(self) -> None:
        self._playing.set()
        self._stream.interrupt()
        await self._send(interrupted=True)

    async def _play(self, given: Mapping[str, Any]) -> None:
        from lokitalk_jax.avatar.sources import Sources

        live, own = self._stream.live, bool(given.get("own"))
        if own:
            path = live.clip_sound
        else:
            path = self._folders.root / commands.sound(self._folders, given)
        if path is None:
            raise ValueError("the clip of this avatar has no sound; play another")
        sound = await asyncio.to_thread(sound_file.open_sound, path)
        await self._interrupt()
        self._playing = ended = threading.Event()

        def feed() -> None:
            pieces = sound.read()
            if own:
                moved = Sources(live.name, live.name, live.name, live.gain)
                self._stream.change(moved, next(pieces))
            for piece in pieces:
                while self._stream.waiting > 2 and not ended.wait(0.1):
                    pass
                if ended.is_set():
                    return
                self._stream.feed(piece)

        threading.Thread(target=feed, daemon=True).start()

    async def _send(self, **message: Any) -> None:
        await self._socket.send_text(json.dumps(message))


def configure(stream: "LiveStream", given: Mapping[str, Any]) -> None:
    """Changes settings of a running avatar.

    Args:
      stream: of the avatar.
      given: any of gain, controls, sources, map, background and idle.

    Raises:
      ValueError, TypeError: a value cannot be used.
    """
    from lokitalk_jax.avatar.sources import Sources

    live = stream.live
    if "gain" in given:
        live.gain = {str(k): float(v) for k, v in given["gain"].items()}
    if "controls" in given:
        changed = dict(given["controls"])
        if "lip" in changed:
            changed["lip"] = tuple(float(x) for x in changed["lip"])
        live.controls = live.controls._replace(**changed)
    if "map" in given:
        live.map = given["map"]
    if "background" in given:
        # A word or a colour; the path of a picture would let pages look for files.
        word = str(given["background"])
        if "/" in word or "." in word or "\\" in word:
            raise ValueError(f"background={word} must be plate or a colour")
        live.background = word
    if "idle" in given:
        live.idle = "own" if given["idle"] else None
    if "sources" in given:
        words = {k: str(given["sources"].get(k, v)) for k, v in _SOURCES.items()}
        allowed = {"audio", "still", "auto", "open", "own", live.name}
        if unknown := set(words.values()) - allowed:
            raise ValueError(
                f"sources={', '.join(sorted(unknown))} is none of "
                f"{', '.join(sorted(allowed))}"
            )
        chosen = Sources(words["lip"], words["eye"], words["head"], live.gain)
        stream.change(chosen)


def described(live: "LiveAvatar") -> dict[str, Any]:
    """Facts about an avatar for the page, see the head of this file."""
    return {
        "rate": structs.AUDIO_RATE,
        "fps": structs.FPS,
        "latency": live.latency,
        "ranges": live.ranges._asdict(),
        "gain": dict(live.gain),
        "name": live.name,
    }


def encoded(frame: "LiveFrame") -> bytes:
    """A JPEG of the picture, with the map to its right where there is one."""
    shown = frame.rgb
    if frame.map is not None:
        shown = np.concatenate([frame.rgb, frame.map], axis=1)
    return cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[
        1
    ].tobytes()


def packed(number: int, frame: "LiveFrame", picture: bytes) -> bytes:
    """A frame as it is sent; see the head of this file."""
    sound = np.clip(np.rint(frame.samples * 32768), -32768, 32767).astype("<i2")
    length = len(picture) | (frame.map is not None) << 31
    return struct.pack("<II", number, length) + sound.tobytes() + picture


class Avatars:
    """Opens avatars, keeps the last one, and limits how many talk at once."""

    def __init__(self, folders: Folders, most: int = 2):
        """Keeps the limit; nothing is opened yet."""
        self._folders, self._most = folders, most
        self._talking = 0
        self._lock = threading.Lock()
        self._opened: tuple[tuple, Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether as many avatars talk as may."""
        return self._talking >= self._most

    def open(self, run: str, identity: str | None, size: str) -> "LiveStream":
        """A stream of an avatar, ready to start.

        Args:
          run: its name.
          identity: of the run; not needed in a run of one.
          size: of the pictures, pixels; "" makes them as large as keeps pace.

        Raises:
          ValueError: there is no such run or identity, or the size cannot be used.
        """
        if size and not (size.isdecimal() and int(size) <= _LARGEST):
            raise ValueError(f"size={size} must be a number of at most {_LARGEST}")
        from lokitalk_jax.api.run import Run
        from lokitalk_jax.avatar.live_stream import LiveStream

        path = self._folders.path("runs", run)
        known = self._folders.run(run)
        if known is None:
            raise ValueError(f"there is no avatar of {run} yet; train one first")
        key = run, identity, known["step"]
        with self._lock:
            process.share_cores()
            if self._opened is None or self._opened[0] != key:
                self._opened = key, Run(path).avatar(identity)
            avatar = self._opened[1]
        if size:
            return LiveStream(avatar.resized(int(size)).live())
        live = avatar.live()
        # Elsewhere than on a CPU each size would be compiled anew.
        return LiveStream(live, _SIZES if avatar.rendered.renderer.bakes else ())

    async def serve(self, socket: WebSocket, run: str, identity: str | None) -> None:
        """Serves one client."""
        await socket.accept()
        if self.busy:
            text = f"{self._most} avatars are talking already; close one of them"
            return await _refuse(socket, text)
        self._talking += 1
        try:
            await socket.send_text(json.dumps({"opening": True}))
            size = socket.query_params.get("size", "")
            stream = await asyncio.to_thread(self.open, run, identity, size)
            try:
                await asyncio.to_thread(stream.__enter__)
                await Session(socket, self._folders, stream).run()
            finally:
                await asyncio.to_thread(stream.close)
        except WebSocketDisconnect:
            pass
        except ValueError as error:
            inside = f"{self._folders.root}{os.sep}"
            await _refuse(socket, str(error).replace(inside, ""))
        finally:
            self._talking -= 1


async def _refuse(socket: WebSocket, text: str) -> None:
    await socket.send_text(json.dumps({"error": text}))
    await socket.close(4000)
