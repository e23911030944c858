"""The sound of a file: which track and channel of it, and its samples in time.

Preparation, rendering, evaluation and the writer of videos read sound by this module
alone, so the sound of a written video is the sound that its lips follow.
"""

import logging
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from av.stream import Disposition

from lokitalk_jax import structs
from lokitalk_jax.media import media_file, sound_level, sound_stream

_LOG = logging.getLogger(__name__)

_PADDING = 0.1  # seconds of silence that a codec may add after the end


class Sound(NamedTuple):
    """A track of a file that can be decoded.

    Attributes:
      path: the file.
      track: number of the track, from 1.
      channel: the only channel that is used, or None: all are averaged.
      channels: 1, or 2 where the track has more than one.
      start: the beginning of the file, seconds on its own clock.
      seconds: from there to the end of the sound.
      silent: no sample is loud.
      louder: numbers of other tracks, which are not silent where this one is.
    """

    path: pathlib.Path
    track: int
    channel: int | None
    channels: int
    start: float
    seconds: float
    silent: bool
    louder: tuple[int, ...]

    def read(self, zero: float | None = None) -> Iterator[np.ndarray]:
        """Samples from time `zero` of the file's clock, by default its beginning.

        Yields:
          float32 [S], 16 kHz mono in [-1, 1]; pieces of about a second or less.
        """
        for piece in self.samples("mono", structs.AUDIO_RATE, zero):
            yield piece[0]

    def samples(
        self, layout: str, rate: int, zero: float | None = None
    ) -> Iterator[np.ndarray]:
        """The same as float32 [channels, T], see `sound_stream.resampled`."""
        zero = self.start if zero is None else zero
        with media_file.open_media(self.path) as container:
            stream = container.streams.audio[self.track - 1]
            frames = sound_stream.stretches(container, stream)
            room = round((self.start + self.seconds - zero) * rate)
            for piece in sound_stream.resampled(
                frames, layout, rate, zero, self.channel
            ):
                yield piece[:, :room]
                room -= piece.shape[1]
                if room <= 0:
                    return

    def refuse_silence(self) -> None:
        """Raises a ValueError where the sound is silent from start to end."""
        if not self.silent:
            return
        name, remedy = f"{self.path}", "give a file with speech"
        if self.louder:
            name = f"audio track {self.track} of {self.path}"
            remedy = f"track {self.louder[0]} is not: audio_track={self.louder[0]}"
        raise ValueError(
            f"{name} is silent: no sample of its {self.seconds:.1f} s is above "
            f"{sound_level.LOUD}; {remedy}"
        )


def open_sound(path: str | os.PathLike, track: int | None = None) -> Sound:
    """Decodes a track of a file once, to learn what it holds.

    Args:
      path: a sound or video file of any container, rate, width and channels.
      track: number of the audio track, from 1; None takes the first that can be
        decoded, one that is flagged as default before the others.

    Raises:
      ValueError: there is no such file or track, none that can be decoded, or samples
        that are not finite.
    """
    path = pathlib.Path(path)
    order = _order(path)
    if track is not None and track not in order:
        raise ValueError(
            f"audio_track={track}: {path} has {len(order)} audio tracks, numbered "
            "from 1"
        )
    measured = (_measured(path, n) for n in (order if track is None else [track]))
    sound = next((one for one in measured if one is not None), None)
    if sound is None:
        which = "none" if track is None else f"track {track}"
        raise ValueError(
            f"{which} of the audio tracks of {path} ({len(order)}) can be decoded; "
            "save the sound again, as AAC or WAV"
        )
    if sound.silent:
        others = [_measured(path, n) for n in sorted(order) if n != sound.track]
        louder = tuple(one.track for one in others if one and not one.silent)
        sound = sound._replace(louder=louder)
    return sound


def _order(path: pathlib.Path) -> list[int]:
    """Numbers of the audio tracks, in the order in which they are tried."""
    with media_file.open_media(path) as container:
        streams = container.streams.audio
        if not streams:
            raise ValueError(f"{path} holds no audio stream; give a file with sound")
        flagged = [bool(s.disposition & Disposition.default) for s in streams]
    return sorted(range(1, len(flagged) + 1), key=lambda n: not flagged[n - 1])


def _measured(path: pathlib.Path, number: int) -> Sound | None:
    """A track by its samples; None where nothing of it can be decoded."""
    with media_file.open_media(path) as container:
        stream = container.streams.audio[number - 1]
        if stream.codec_context is None:
            return None
        start = media_file.start_time(container)
        level, end, last = sound_level.Level(), 0.0, 0.0
        for time, frame in sound_stream.stretches(container, stream):
            end = end if time is None else time - start
            bad = level.add(frame)
            if bad is not None:
                raise ValueError(
                    f"{path} holds samples that are not numbers, the first at "
                    f"{end + bad / frame.sample_rate:.2f} s; save it again"
                )
            end += frame.samples / frame.sample_rate
            last = max(last, end)
        if not level.frames or last <= 0:
            return None
        stated = media_file.stated_length(container, stream)
        cut_off = media_file.cut_off(last, stated)
        if stated and 0 < last - stated < _PADDING:
            last = stated
    if cut_off:
        _LOG.warning("the sound of %s is %s", path, cut_off)
    return Sound(
        path=path,
        track=number,
        channel=level.single_channel(),
        channels=1 if level.single_channel() is not None else min(level.channels, 2),
        start=start,
        seconds=last,
        silent=level.peak < sound_level.LOUD,
        louder=(),
    )
