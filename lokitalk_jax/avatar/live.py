"""An avatar that is driven live: sound in, frames with their sound out.

    live = LiveAvatar.load("runs/prior", "me")
    for chunk in microphone:
        for frame in live.push(chunk):
            show(frame.rgb)
            play(frame.samples)

A frame and its samples belong together: shown and played at once, lips and speech are
in step. Both are late by `latency`, the sound that the lips of a frame depend on.
"""

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import backdrop, frame_stream
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.avatar.speaking import SpeechMotion
from lokitalk_jax.media import image_grid

SAMPLES_PER_FRAME = structs.AUDIO_RATE // structs.FPS


class LiveFrame(NamedTuple):
    """One rendered frame with its sound.

    Attributes:
      rgb: uint8 [H, W, 3].
      time: seconds of sound before the frame.
      samples: float32 [640], the sound during the frame, 16 kHz mono; the last frame of
        a sound may be filled up with silence.
    """

    rgb: np.ndarray
    time: float
    samples: np.ndarray


class LiveAvatar:
    """One identity of a run, driven by sound as it arrives."""

    def __init__(
        self,
        run: OpenRun,
        avatar: OpenAvatar,
        sources: Sources = Sources(),  # noqa: B008 (a tuple)
        background: str | os.PathLike = "plate",
    ):
        """Opens the sources; see `load`."""
        plate = backdrop.find(background, avatar.record)
        if plate is None:
            raise ValueError(
                "background=none is transparent, and live frames are opaque; choose "
                "another"
            )
        self._motion = SpeechMotion(run, avatar.record.name, sources)
        self._renderer, self._plate = avatar.renderer, plate
        self._sound = np.zeros(0, np.float32)  # of the frames to come
        self._frames = 0

    @classmethod
    def load(
        cls,
        workdir: str | os.PathLike,
        identity: str | None = None,
        sources: Sources = Sources(),  # noqa: B008 (a tuple)
        background: str | os.PathLike = "plate",
        size: int | None = None,
    ) -> "LiveAvatar":
        """Opens an identity of a run.

        Args:
          workdir: of the run.
          identity: its name; not needed in a run of one.
          sources: of the motion.
          background: see `backdrop.find`; not transparent.
          size: pixels along the longest side, by default as trained.

        Raises:
          ValueError: there is no such run or identity, or it has no voice.
        """
        run = OpenRun(pathlib.Path(workdir))
        avatar = run.avatar(run.named(identity))
        return cls(run, avatar.at(size) if size else avatar, sources, background)

    @property
    def latency(self) -> float:
        """Seconds of sound after its own time that a frame waits for."""
        return self._motion.look_ahead

    def push(self, samples: np.ndarray) -> list[LiveFrame]:
        """Adds samples [S], 16 kHz mono; returns the frames that are complete."""
        samples = np.asarray(samples, np.float32)
        self._sound = np.concatenate([self._sound, samples])
        return list(self._rendered(self._motion.push(samples)))

    def finish(self) -> list[LiveFrame]:
        """Returns the last frames, after which no sound follows."""
        return list(self._rendered(self._motion.finish()))

    def _rendered(self, moved: Iterator[FrameMotion]) -> Iterator[LiveFrame]:
        for rendered in frame_stream.render(self._renderer, moved, self._plate):
            rgb = image_grid.to_uint8(np.asarray(rendered.rgb))
            samples = np.zeros(SAMPLES_PER_FRAME, np.float32)
            known = self._sound[:SAMPLES_PER_FRAME]
            samples[: len(known)] = known
            self._sound = self._sound[SAMPLES_PER_FRAME:]
            yield LiveFrame(rgb, self._frames / structs.FPS, samples)
            self._frames += 1
