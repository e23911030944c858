"""Motion of an avatar that speaks, from a stream or a file of sound."""

import collections
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import drivers, motion, sources, speaking_style
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.avatar.sources import Sources
from lokitalk_jax.media.sound_file import Sound
from lokitalk_jax.speech import hearing, lip_limits, lips, spoken_clip
from lokitalk_jax.speech.voice import Voice


class _Change(NamedTuple):
    """Sources that begin at a frame, and the streams that they open."""

    frame: int
    chosen: Sources
    streams: dict[str, Iterator]


class SpeechMotion:
    """The motion of one identity, frame by frame as sound arrives.

    Attributes:
      frames: number of frames given out.
      clipped: number of those whose lips would have left the range of training.
      look_ahead: seconds of sound after a frame's time that the frame waits for.
    """

    def __init__(
        self,
        run: OpenRun,
        name: str,
        chosen: Sources = Sources(),  # noqa: B008 (a tuple)
        sound: Sound | None = None,
    ):
        """Opens the sources.

        Args:
          run: the run.
          name: of one of its identities, or the path of an identity folder.
          chosen: sources of the motion.
          sound: the sound that will be pushed, if it is that of a file.

        Raises:
          ValueError: a source or a region of the gain is unknown, or the look-ahead is
            out of range.
        """
        self._run, self._sources = run, chosen
        self._speaker = drivers.load_speaker(run, name)
        self._record = self._speaker.record
        self.gain = chosen.gain
        self._streams = sources.open_streams(run, self._record, chosen)
        self._changes: collections.deque[_Change] = collections.deque()
        self.frames = self.clipped = 0
        self.look_ahead = 0.0
        self._voice, self._samples = None, 0
        self._speaks = chosen.lip == "audio"
        if chosen.lip == "audio":
            clip = spoken_clip.of_record(self._record)
            voice = speaking_style.styled_voice(run, self._speaker, chosen.style)
            rows = _rows_of_file(voice, chosen.features, sound)
            ahead = chosen.look_ahead
            if ahead is None:
                ahead = hearing.FILE if sound else hearing.LIVE
            self._state = hearing.begin(voice.spec, rows, ahead)
            self.look_ahead = hearing.look_ahead(voice.spec, ahead)
            self._voice = voice
            self._limits = lip_limits.of_clip(self._speaker.fitted, clip)
        elif chosen.features:
            raise ValueError(
                f"features={chosen.features} need lip=audio, not lip={chosen.lip}"
            )

    @property
    def gain(self) -> Mapping[str, float]:
        """Factors of the motion about rest, by region; set at any time.

        Raises:
          ValueError: when set: a region is unknown, or a factor negative or not finite.
        """
        return self._gain._asdict()

    @gain.setter
    def gain(self, gain: Mapping[str, float]) -> None:
        self._gain = _checked_gain(gain)

    def change(self, chosen: Sources) -> None:
        """Takes other sources, from the frame of the next sample on.

        Streams whose source stays the same continue. Another style counts from the next
        sound that arrives.

        Raises:
          ValueError: a source is unknown, or lips are to come from speech and did not
            when this was made.
        """
        if chosen.lip == "audio" and self._voice is None:
            raise ValueError(
                "lip=audio cannot be taken up by motion that began with "
                f"lip={self._sources.lip}; open the live avatar with lip=audio"
            )
        # What raises comes first, so that a refused change changes nothing.
        gain, voice = _checked_gain(chosen.gain), self._voice
        opened = sources.open_streams(self._run, self._record, chosen)
        if voice is not None and chosen.style != self._sources.style:
            voice = speaking_style.styled_voice(self._run, self._speaker, chosen.style)
        known = zip(sources.REGIONS, self._sources[:3], chosen[:3], strict=True)
        new = {
            region: getattr(opened, region)
            for region, before, after in known
            if after != before
        }
        frame = -(-self._samples * structs.FPS // structs.AUDIO_RATE)
        self._changes.append(_Change(frame, chosen, new))
        self._sources, self._gain, self._voice = chosen, gain, voice

    def push(self, samples: np.ndarray) -> Iterator[FrameMotion]:
        """Adds samples [S], 16 kHz mono; yields the frames that are complete."""
        self._samples += len(samples)
        if self._voice:
            self._state, spoken = lips.push(
                self._state, self._voice, self._limits, samples
            )
            yield from map(self._frame, spoken)
        else:
            until = self._samples * structs.FPS // structs.AUDIO_RATE
            for _ in range(until - self.frames):
                yield self._frame()

    def finish(self) -> Iterator[FrameMotion]:
        """Yields the last frames, after which no sound follows."""
        if self._voice:
            self._state, spoken = lips.push(
                self._state, self._voice, self._limits, np.zeros(0, "f4"), last=True
            )
            yield from map(self._frame, spoken)
        else:
            until = -(-self._samples * structs.FPS // structs.AUDIO_RATE)
            for _ in range(until - self.frames):
                yield self._frame()

    def _frame(self, spoken: np.ndarray | None = None) -> FrameMotion:
        """The next frame; `spoken` [D_lip] are lips from speech."""
        while self._changes and self._changes[0].frame <= self.frames:
            change = self._changes.popleft()
            self._streams = self._streams._replace(**change.streams)
            self._speaks = change.chosen.lip == "audio"
        spoken = spoken if self._speaks else None
        try:
            lip = next(self._streams.lip) if spoken is None else spoken
            eye = next(self._streams.eye)
            head, torso = next(self._streams.head)
        except StopIteration:
            raise ValueError(
                f"a .csv file of signals ends at frame {self.frames}, before the "
                "sound; add rows to it, or cut the sound"
            ) from None
        signals = structs.Signals(lip, eye, head, torso)
        signals = structs.Signals(
            *(
                np.asarray(rest + gain * (value - rest), np.float32)
                for gain, value, rest in zip(
                    self._gain, signals, self._record.rest, strict=True
                )
            )
        )
        if spoken is not None:
            self.clipped += int(lip_limits.outside(self._limits, signals.lip))
            inside = lip_limits.clipped(self._limits, signals.lip)
            signals = signals._replace(lip=np.float32(inside))
        self.frames += 1
        return FrameMotion(motion.head_pose(self._record, signals.head), signals)


class SpokenFile:
    """The motion of a sound file from its beginning to its end, once."""

    def __init__(self, speaking: SpeechMotion, sound: Sound):
        """Joins them.

        Raises:
          ValueError: the sound is silent.
        """
        sound.refuse_silence()
        self._speaking, self._sound = speaking, sound

    def __len__(self) -> int:
        samples = round(self._sound.seconds * structs.AUDIO_RATE)
        return max(-(-samples * structs.FPS // structs.AUDIO_RATE), 1)

    def __iter__(self) -> Iterator[FrameMotion]:
        for piece in self._sound.read():
            yield from self._speaking.push(piece)
        yield from self._speaking.finish()


def _checked_gain(gain: Mapping[str, float]) -> structs.Signals:
    """A factor for each region; the torso has the head's, unless it is given.

    Raises:
      ValueError: a region is unknown, or a factor negative or not finite.
    """
    unknown = sorted(set(gain) - set(structs.REGIONS))
    if unknown:
        raise ValueError(
            f"gain={','.join(unknown)} names no region; the regions are "
            f"{', '.join(structs.REGIONS)}"
        )
    for region, factor in gain.items():
        if not (math.isfinite(factor) and factor >= 0):
            raise ValueError(f"gain={region}:{factor} must be at least 0")
    lip, eye, head = (float(gain.get(region, 1.0)) for region in sources.REGIONS)
    return structs.Signals(lip, eye, head, float(gain.get("torso", head)))


def _rows_of_file(voice: Voice, features, sound: Sound | None) -> np.ndarray | None:
    """Feature rows of the whole sound, for a voice on features of another program."""
    spec = voice.spec
    if hearing.computed(spec):
        if features:
            raise ValueError(
                f"the voice of the run uses {spec.hears}, computed from the sound; "
                f"leave out features={features}"
            )
        return None
    if features is None:
        raise ValueError(
            f"the voice of the run uses {spec.hears}; give the features that the same "
            "program computes of this sound, features=FILE.npy"
        )
    if sound is None:
        raise ValueError(
            f"the voice of the run uses {spec.hears}, features of whole files, so it "
            "cannot be driven live; give it a sound file"
        )
    samples = np.concatenate(list(sound.read()))
    count = -(-len(samples) * structs.FPS // structs.AUDIO_RATE)
    return spoken_clip.rows_of_file(spec, features, samples, count)
