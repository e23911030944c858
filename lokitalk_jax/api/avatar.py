"""An identity that renders: re-enacting clips, speaking, live."""

import copy
import functools
import logging
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping

from lokitalk_jax import files, structs
from lokitalk_jax.avatar import drivers, idle_motion, idling, motion, signal_table
from lokitalk_jax.avatar import run as runs
from lokitalk_jax.avatar.footage import Footage
from lokitalk_jax.avatar.live import LiveAvatar
from lokitalk_jax.avatar.sources import REGIONS, Sources
from lokitalk_jax.avatar.speaking import SpeechMotion, SpokenFile
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.media import clip_sound, sound_file
from lokitalk_jax.media.sound_file import Sound

_LOG = logging.getLogger(__name__)


class Avatar:
    """An identity ready to render; made by `Run.avatar` and `Run.zero_shot`.

    Attributes:
      name: of the identity.
      run: the open run that it belongs to.
      rendered: the identity, ready to render.
      unseen: the clip of an identity that the run was not trained on, or None.
    """

    def __init__(
        self,
        run: runs.OpenRun,
        rendered: runs.OpenAvatar,
        unseen: Dataset | None = None,
    ):
        """Joins its parts, see above."""
        self.name = rendered.record.name
        self.run, self.rendered, self.unseen = run, rendered, unseen

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its frames, pixels."""
        return self.rendered.record.camera.shape

    def reenact(
        self,
        frames: str | range = "test",
        *,
        drive: str | os.PathLike | None = None,
        lip: str | os.PathLike | None = None,
        eye: str | os.PathLike | None = None,
        head: str | os.PathLike | None = None,
        mute: str | Collection[str] = (),
        background: str | os.PathLike = "plate",
    ) -> Footage:
        """Footage of the avatar moving as in a clip, its own or those of others.

        Args:
          frames: of all clips: "test", the held-out end; "all"; "a:b", frames a to
            b - 1, or a range.
          drive: drives lips, eyes and head: an identity of the run, or the path of an
            identity folder.
          lip, eye, head: drive that region alone. The sound is that of the lips' clip.
          mute: a region (lip, eye, head, torso) or several, held at rest; the camera
            stands still with the head.
          background: "plate", the clip's own; "none", transparent; a colour, as
            "#rrggbb" or a name; or the path of an image.

        Raises:
          ValueError: an argument does not fit this run or its clips.
        """
        record = self.rendered.record
        mute = [mute] if isinstance(mute, str) else mute
        if isinstance(frames, range):
            if frames.step != 1:
                raise ValueError(f"frames={frames} has steps of {frames.step}; give 1")
            frames = f"{frames.start}:{frames.stop}"
        alone: dict[str, str | os.PathLike | None] = dict(
            zip(REGIONS, (lip, eye, head), strict=True)
        )
        for region in mute:
            if alone.get(region) is not None:
                raise ValueError(
                    f"mute={region} holds a region that {region}={alone[region]} "
                    "drives; leave out one of them"
                )
        for region, driver in alone.items():
            if driver in ("still", "open") or str(driver).endswith(".csv"):
                raise ValueError(
                    f"{region}={driver} is for speech; mute={region} holds a region "
                    "still"
                )
        clips = {}
        for region, driver in alone.items():
            field, driver = (region, driver) if driver else ("drive", drive)
            if driver:
                speaker = drivers.load_speaker(self.run, os.fspath(driver), field)
                clips[region] = speaker.record
        driven = bool(clips)
        # The sound is that of the clip that moves the lips.
        lip_clip = clips.setdefault("lip", record)
        parts = {
            region: (one, motion.select_frames(one, frames))
            for region, one in clips.items()
        }
        chosen = parts["lip"][1][: min(len(part) for _, part in parts.values())]
        _LOG.info(
            "%s follows %s",
            record.name,
            ", ".join(
                f"frames {part[0]} to {part[len(chosen) - 1]} of {one.name} ({region})"
                for region, (one, part) in parts.items()
            ),
        )
        own = motion.select_frames(record, frames)
        if driven:
            moved = motion.swap(record, own, parts, len(chosen))
        else:
            moved = motion.tracked(record, chosen)
        order = own.start + motion.back_and_forth(len(own), len(chosen))
        moved = motion.hold(moved, record, mute)
        return Footage(
            self.rendered,
            moved.frames,
            moved.frame_count,
            background,
            clip_sound.of_frames(lip_clip.audio, chosen),
            lambda: map(int, order),
        )

    def speak(
        self,
        audio: str | os.PathLike | Sound,
        *,
        lip: str | os.PathLike = "audio",
        eye: str | os.PathLike = "auto",
        head: str | os.PathLike = "own",
        gain: Mapping[str, float] | None = None,
        seed: int = 0,
        features: str | os.PathLike | None = None,
        background: str | os.PathLike = "plate",
    ) -> "Speech":
        """Footage of the avatar speaking the words of a sound file.

        Args:
          audio: a sound or video file, or a track of one, of `open_sound`.
          lip: "audio", the run's Audio2Motion; "still"; an identity of the run; the
            path of an identity folder, or of a .csv file of `Speech.save_curves`.
          eye: "auto" (blinks), "open", or as `lip`.
          head: "own" (the training poses forwards and backwards), "still", or as `lip`;
            the torso goes with it.
          gain: factors of the motion about rest, such as {"lip": 1.2, "head": 0.5}.
          seed: of the blinks.
          features: a .npy file of features of the sound that another program computed,
            for an Audio2Motion that was trained on features of that program.
          background: see `reenact`.

        Raises:
          ValueError: the sound cannot be used, or an argument does not fit the run.
        """
        sources = self._sources(lip, eye, head, gain, seed, features)
        return Speech(self.run, self.rendered, sources, audio, background)

    def live(
        self,
        *,
        lip: str | os.PathLike = "audio",
        eye: str | os.PathLike = "auto",
        head: str | os.PathLike = "own",
        gain: Mapping[str, float] | None = None,
        seed: int = 0,
        background: str | os.PathLike = "plate",
        look_ahead: float | None = None,
        style: str | os.PathLike = "own",
    ) -> LiveAvatar:
        """The avatar driven live: push sound, and show each frame with its own sound.

        Args:
          lip, eye, head, gain, seed: see `speak`.
          background: see `reenact`; not transparent.
          look_ahead: seconds of sound after a frame that the frame waits for, 0.08 by
            default; lips follow sound better with more.
          style: see `Speech.in_style`.

        Raises:
          ValueError: as `speak`.
        """
        sources = self._sources(lip, eye, head, gain, seed, None)
        sources = sources._replace(look_ahead=look_ahead, style=os.fspath(style))
        return LiveAvatar(self.run, self.rendered, sources, background)

    def resized(self, size: int) -> "Avatar":
        """The same avatar with `size` pixels along the longest side of its frames.

        Raises:
          ValueError: that is too small for a picture.
        """
        return Avatar(self.run, self.rendered.at(size), self.unseen)

    def exact(self) -> "Avatar":
        """The same avatar, rendered as in training: slower, and hardly different.

        Elsewhere than on a CPU, avatars are exact anyway.
        """
        return Avatar(self.run, self.rendered.exact(), self.unseen)

    def _sources(self, lip, eye, head, gain, seed, features) -> Sources:
        if seed < 0:
            raise ValueError(f"seed={seed} must be at least 0")
        return Sources(
            os.fspath(lip),
            os.fspath(eye),
            os.fspath(head),
            gain or {},
            seed,
            None if features is None else pathlib.Path(features),
        )


class Speech(Footage):
    """Footage of an avatar that speaks."""

    def __init__(
        self,
        run: runs.OpenRun,
        rendered: runs.OpenAvatar,
        sources: Sources,
        audio: str | os.PathLike | Sound,
        background: str | os.PathLike,
    ):
        """Reads the sound once; see `Avatar.speak`."""
        sound = audio if isinstance(audio, Sound) else sound_file.open_sound(audio)
        name = drivers.speaker_name(run, rendered.record)
        self._speaking = functools.partial(SpeechMotion, run, name, sound=sound)
        self._sources = sources
        self._run, self._record, self._sound = run, rendered.record, sound
        self._idle: structs.Signals | None = None
        spoken = SpokenFile(self._speaking(sources), sound)
        order = functools.partial(idle_motion.training_frames, rendered.record)
        super().__init__(rendered, self._motion, len(spoken), background, sound, order)

    def idling(self, source: str | os.PathLike = idling.OWN) -> "Speech":
        """The same footage with an idle motion in stretches without speech.

        Args:
          source: "own", the longest pause of the identity's clip; the name of another
            identity of the run; the path of an identity folder, or of a .csv file of
            `save_curves`.

        Raises:
          ValueError: there is no such source, or the clip has no pause of a second.
        """
        other = copy.copy(self)
        other._motion_frames = other._motion
        other._idle = idling.signals(self._run, self._record, source)
        return other

    def in_style(self, style: str | os.PathLike) -> "Speech":
        """The same footage in another manner of speaking.

        Args:
          style: "own", as in the identity's clip, which is the default; "neutral", as
            people in general; an identity of the run or the path of an identity
            folder, whose manner it is.

        Raises:
          ValueError: there is no such style.
        """
        other = copy.copy(self)
        other._motion_frames = other._motion
        other._sources = self._sources._replace(style=os.fspath(style))
        self._speaking(other._sources)  # raises where there is no such style
        return other

    def _motion(self) -> Iterator[motion.FrameMotion]:
        speaking = self._speaking(self._sources)
        frames = iter(SpokenFile(speaking, self._sound))
        if self._idle is not None:
            frames = idling.in_pauses(frames, self._sound, self._idle, self._record)
        yield from frames
        _LOG.info(
            "lips are held within the range of the training frames in %.1f%% of %d "
            "frames",
            100 * speaking.clipped / max(speaking.frames, 1),
            speaking.frames,
        )

    def save_curves(self, path: str | os.PathLike) -> None:
        """Writes the signals of all frames into a .csv file, to edit and to feed back.

        Raises:
          ValueError: it is one of the files that are read.
          OSError: writing failed.
        """
        lip, eye, head = self._sources[: len(REGIONS)]
        files.refuse_overwriting(
            path, lip=lip, eye=eye, head=head, audio=self._sound.path
        )
        for _ in signal_table.recorded(self._motion(), pathlib.Path(path)):
            pass
