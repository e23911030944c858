"""An avatar that is driven live: sound in, frames with their sound out.

    live = lokitalk.Run("runs/prior").avatar("me").live()
    for chunk in microphone:
        for frame in live.push(chunk):
            show(frame.rgb)
            play(frame.samples)

A frame and its samples belong together: shown and played at once, lips and speech are
in step. Both are late by `latency`, the sound that the lips of a frame depend on.

`push` renders every frame, as for a file. A `LiveStream` keeps pace with a clock
instead; see `live_stream`.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import backdrop, drivers, frame_stream, idling, panels
from lokitalk_jax.avatar import controls as by_hand
from lokitalk_jax.avatar.controls import Controls, Ranges
from lokitalk_jax.avatar.live_idling import LiveIdling
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.avatar.sound_queue import SAMPLES_PER_FRAME, SampleBuffer
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.avatar.speaking import SpeechMotion
from lokitalk_jax.media import image_grid
from lokitalk_jax.model.rendering import Rendered

_FIRST_PUSH = SAMPLES_PER_FRAME * 12  # silence that compiles the prediction of lips


class LiveFrame(NamedTuple):
    """One frame with its sound.

    Attributes:
      rgb: uint8 [H, W, 3].
      time: seconds of sound before the frame.
      samples: float32 [640], the sound during the frame, 16 kHz mono; the last frame of
        a sound may be filled up with silence.
      map: uint8 [H, W, 3], the map of `LiveAvatar.map`, or None.
      fresh: False where a stream left this frame out, and `rgb` is the one before.
    """

    rgb: np.ndarray
    time: float
    samples: np.ndarray
    map: np.ndarray | None = None
    fresh: bool = True


class PendingFrame(NamedTuple):
    """A frame before it is rendered.

    Attributes:
      motion: without the controls.
      time, samples: see `LiveFrame`.
    """

    motion: FrameMotion
    time: float
    samples: np.ndarray


class View(NamedTuple):
    """How frames are rendered; compared by identity.

    Attributes:
      avatar: at the size of the frames.
      plate: float32 [H, W, 3].
      map: see `LiveAvatar.map`.
      controls: of motion and camera.
    """

    avatar: OpenAvatar
    plate: np.ndarray
    map: str
    controls: Controls


class LiveAvatar:
    """One identity of a run, driven by sound as it arrives.

    Everything that can be set may be set at any time, and holds from the next frame on.
    """

    def __init__(
        self,
        run: OpenRun,
        avatar: OpenAvatar,
        sources: Sources = Sources(),  # noqa: B008 (a tuple)
        background: str | os.PathLike = "plate",
    ):
        """Opens the sources.

        Args:
          run: the run.
          avatar: one of its identities, or a new one.
          sources: of the motion.
          background: see `backdrop.find`; not transparent.

        Raises:
          ValueError: a source or the background cannot be used.
        """
        self.view = View(avatar, _plate(background, avatar), "", Controls())
        self._trained, self._background = avatar, background
        self._sized: dict[tuple[int, str], tuple[OpenAvatar, np.ndarray]] = {}
        name = drivers.speaker_name(run, avatar.record)
        self._motion = SpeechMotion(run, name, sources)
        self._run, self._idle = run, None
        self._idling = LiveIdling(avatar.record, self._motion.look_ahead)
        self._sound = SampleBuffer()
        self._frames = 0

    @property
    def name(self) -> str:
        """Of the identity."""
        return self._trained.record.name

    @property
    def clip_sound(self) -> pathlib.Path | None:
        """The sound of the clip that it was trained on, or None."""
        return self._trained.record.audio

    @property
    def latency(self) -> float:
        """Seconds of sound after its own time that a frame waits for."""
        return self._motion.look_ahead

    @property
    def behind(self) -> int:
        """Number of frames that wait for the look-ahead."""
        return len(self._sound) // SAMPLES_PER_FRAME

    @property
    def gain(self) -> Mapping[str, float]:
        """Factors of the motion about rest, by region; set to change it."""
        return self._motion.gain

    @gain.setter
    def gain(self, gain: Mapping[str, float]) -> None:
        self._motion.gain = gain

    @property
    def idle(self) -> str | os.PathLike | None:
        """The motion while nobody speaks, or None; set to change it.

        "own", the longest pause of the identity's clip; the name of another identity of
        the run; the path of an identity folder, or of a .csv file of signals. It begins
        when nobody has spoken for a second.
        """
        return self._idle

    @idle.setter
    def idle(self, source: str | os.PathLike | None) -> None:
        found = None
        if source is not None:
            found = idling.signals(self._run, self._trained.record, source)
        self._idling.use(found)
        self._idle = source

    @property
    def controls(self) -> Controls:
        """Pose, eyes, lips and camera; set to change them."""
        return self.view.controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        by_hand.check(controls, self._trained.record)
        self.view = self.view._replace(controls=controls)

    @property
    def ranges(self) -> Ranges:
        """Ranges of the controls that training has seen."""
        return by_hand.ranges(self._trained.record)

    @property
    def map(self) -> str:
        """The map that frames hold: depth, regions, offset, or "" for none.

        Raises:
          ValueError: when set: there is no such map.
        """
        return self.view.map

    @map.setter
    def map(self, name: str) -> None:
        if name not in ("", *panels.MAPS):
            raise ValueError(
                f"map={name} is none of {', '.join(panels.MAPS)}, or empty for no map"
            )
        self.view = self.view._replace(map=name)

    @property
    def background(self) -> str | os.PathLike:
        """See `backdrop.find`; set to change it."""
        return self._background

    @background.setter
    def background(self, background: str | os.PathLike) -> None:
        plate = _plate(background, self.view.avatar)
        self.view, self._background = self.view._replace(plate=plate), background

    @property
    def size(self) -> int:
        """Pixels along the longest side of the frames; set to change it."""
        return max(self.view.avatar.record.camera.shape)

    @size.setter
    def size(self, size: int) -> None:
        self.view = self.resized(self.view, size)

    def resized(self, view: View, size: int) -> View:
        """A view with `size` pixels along the longest side."""
        key = size, os.fspath(self._background)
        if key not in self._sized:
            avatar = self._trained.at(size)
            self._sized[key] = avatar, _plate(self._background, avatar)
        avatar, plate = self._sized[key]
        return view._replace(avatar=avatar, plate=plate)

    def change(self, sources: Sources) -> None:
        """Takes the motion from other sources, from the next sample on.

        Raises:
          ValueError: see `SpeechMotion.change`.
        """
        self._motion.change(sources)

    def push(self, samples: np.ndarray) -> list[LiveFrame]:
        """Adds samples [S], 16 kHz mono; returns the frames that are complete.

        Raises:
          ValueError: the samples are not finite floats of one channel.
        """
        return self._rendered(self.predict(samples))

    def finish(self) -> list[LiveFrame]:
        """Returns the last frames, after which no sound follows."""
        return self._rendered(self._pending(self._motion.finish()))

    def prepare(self) -> LiveFrame:
        """Compiles everything, with half a second of silence.

        Returns:
          its last frame.
        """
        frames = self.predict(np.zeros(_FIRST_PUSH, np.float32))
        return self.draw(frames[-1], self.view)

    def predict(self, samples: np.ndarray) -> list[PendingFrame]:
        """Adds samples [S] as `push` does; predicts motion, and renders nothing."""
        self._sound.put(samples)
        samples = np.asarray(samples, np.float32)
        self._idling.put(samples)
        return self._pending(self._motion.push(samples))

    def draw(self, frame: PendingFrame, view: View) -> LiveFrame:
        """Renders a frame."""
        pose, signals = self._moved(frame, view)
        rendered = view.avatar.renderer(pose, signals, view.plate)
        return _frame(frame, view, rendered)

    def _moved(self, frame: PendingFrame, view: View) -> FrameMotion:
        if view.controls == Controls():
            return frame.motion
        return by_hand.apply(self._trained.record, frame.motion, view.controls)

    def _rendered(self, frames: list[PendingFrame]) -> list[LiveFrame]:
        view = self.view
        moved = (self._moved(one, view) for one in frames)
        stream = frame_stream.render(view.avatar.renderer, moved, view.plate)
        return [
            _frame(one, view, rendered)
            for one, rendered in zip(frames, stream, strict=True)
        ]

    def _pending(self, moved: Iterator[FrameMotion]) -> list[PendingFrame]:
        frames = []
        for frame in moved:
            samples = self._sound.take(SAMPLES_PER_FRAME)
            frame = self._idling.mixed(frame)
            frames.append(PendingFrame(frame, self._frames / structs.FPS, samples))
            self._frames += 1
        return frames


def _plate(background: str | os.PathLike, avatar: OpenAvatar) -> np.ndarray:
    plate = backdrop.find(background, avatar.record)
    if plate is None:
        raise ValueError(
            "background=none is transparent, and live frames are opaque; give plate, a "
            "colour or an image"
        )
    return plate


def _frame(frame: PendingFrame, view: View, rendered: Rendered) -> LiveFrame:
    shown = None
    if view.map:
        rendered = jax.device_get(rendered)
        shown = panels.coloured(view.map, rendered, view.avatar.depth_range)
    rgb = image_grid.to_uint8(np.asarray(rendered.rgb))
    return LiveFrame(rgb, frame.time, frame.samples, shown)
