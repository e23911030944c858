"""A portrait that talks: sound in, in pieces, and frames out.

    portrait = Portrait.load("runs/prior", "me")
    for chunk in microphone:
        for frame in portrait.push(chunk):
            show(frame)

Rendering a file is the same, with the file's pieces.
"""

import csv
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import backdrop, curves, motion, video_file
from lokitalk_jax.avatar.drivers import load_driver
from lokitalk_jax.avatar.motion import Frame
from lokitalk_jax.avatar.run import Avatar, Run
from lokitalk_jax.media import image_grid, sound_file
from lokitalk_jax.speech import lips, spoken_clip
from lokitalk_jax.speech import voice as voices


class Sources(NamedTuple):
    """Where each region's motion comes from.

    Attributes:
      lip: audio, still, an identity, or a .csv file.
      eye: auto (blinks), open, an identity, or a .csv file.
      head: own (the training poses to and fro), still, an identity, or a .csv file; the
        torso goes with it.
      gain: factors about the rest position, by region.
      seed: of the blinks.
      features: what other programs hear in the sound, a .npy file, for a voice that has
        learned from such.
    """

    lip: str = "audio"
    eye: str = "auto"
    head: str = "own"
    gain: Mapping[str, float] = {}
    seed: int = 0
    features: pathlib.Path | None = None


class Speaking:
    """Camera poses and signals from speech, frame by frame.

    Attributes:
      frames: how many were given out.
      clamped: in how many of them the lips were held within what was seen.
    """

    def __init__(
        self, run: Run, name: str, sources: Sources, sound: pathlib.Path | None = None
    ):
        """Gets ready.

        Args:
          run: whose people speak.
          name: who speaks.
          sources: of the motion.
          sound: the file that will be heard, where features of it are given.

        Raises:
          ValueError: a source is unknown, or lips are to come from speech and the run
            has no voice.
        """
        unknown = set(sources.gain) - set(structs.REGIONS[:3])
        if unknown:
            raise ValueError(
                f"--gain knows lip, eye and head, not {', '.join(sorted(unknown))}"
            )
        self._record = run.record(name)
        self._gain = {r: float(sources.gain.get(r, 1.0)) for r in structs.REGIONS}
        # Lips that come from elsewhere follow the sound's length all the same.
        self._voice = voices.load(run.workdir) if sources.lip == "audio" else None
        record = self._record
        if sources.features and not self._voice:
            raise ValueError("--features goes with --lip=audio, which is the default")
        self._state, self._mouth, self._pending = None, None, 0
        if self._voice:
            self._mouth = lips.lip_limits(run.fitted, spoken_clip.of_record(record))
            rows = self._rows(run, sources.features, sound)
            self._state = lips.begin(self._voice, rows)
        self._lip = self._source(run, "lip", sources.lip, {"audio": None})
        self._eye = self._source(
            run, "eye", sources.eye, {"auto": curves.blinking(sources.seed)}
        )
        own = {"own": curves.own_head(record)}
        self._head = self._source(run, "head", sources.head, own)
        self.frames = 0

    @property
    def clamped(self) -> int:
        """See above."""
        return self._state.clamped if self._state else 0

    def push(self, samples: np.ndarray) -> Iterator[Frame]:
        """Hears samples [S], 16 kHz mono; gives the frames that are complete by now."""
        if self._voice is None:
            self._pending += len(samples) * structs.FPS
            count, self._pending = divmod(self._pending, structs.AUDIO_RATE)
            yield from self._moved([None] * count)
            return
        gain = self._gain["lip"]
        self._state, lip = lips.push(
            self._state, self._voice, self._mouth, gain, samples
        )
        yield from self._moved(lip)

    def finish(self) -> Iterator[Frame]:
        """Gives the frames that waited for more sound."""
        if self._voice is None:
            yield from self._moved([None] * bool(self._pending))
            return
        gain = self._gain["lip"]
        self._state, lip = lips.finish(self._state, self._voice, self._mouth, gain)
        yield from self._moved(lip)

    def _moved(self, spoken) -> Iterator[Frame]:
        rest, gain = self._record.rest, self._gain
        for lip in spoken:
            try:
                if lip is None:
                    lip = rest.lip + gain["lip"] * (next(self._lip) - rest.lip)
                eye = rest.eye + gain["eye"] * (next(self._eye) - rest.eye)
                head, torso = (gain["head"] * one for one in next(self._head))
            except StopIteration:
                raise ValueError(
                    f"a table of curves ends at frame {self.frames}, before the sound; "
                    "make it longer or give less sound"
                ) from None
            signals = structs.Signals(
                *(np.asarray(x, np.float32) for x in (lip, eye, head, torso))
            )
            self.frames += 1
            yield curves.pose(self._record, head), signals

    def _rows(self, run: Run, features, sound) -> np.ndarray | None:
        """All that a voice will hear, where that is a file and not the sound itself."""
        spec = self._voice.spec
        if spec.streams != (features is None):
            remedy = "give --features, what the same program hears in this sound"
            if spec.streams:
                remedy = "they go with a voice of --config.voice.hears=NAME.npy"
            raise ValueError(
                f"the voice of {run.workdir} hears {spec.hears}, and the features "
                f"given are {features or 'none'}; {remedy}"
            )
        if features is None:
            return None
        if sound is None:
            raise ValueError(
                f"the voice of {run.workdir} hears features of whole files, so it "
                "cannot be driven live; use render.py --audio --features"
            )
        heard = np.concatenate(list(sound_file.read(sound)))
        count = -(-len(heard) * structs.FPS // structs.AUDIO_RATE)
        return spoken_clip.rows_of_file(spec, features, heard, count)

    def _source(self, run: Run, region: str, text: str, more: dict):
        """The curve that a region follows; of the head with the torso's beside it."""
        record, rest = self._record, self._record.rest
        at_rest = {"lip": rest.lip, "eye": rest.eye, "head": (rest.head, rest.torso)}
        held = "open" if region == "eye" else "still"
        if text in more:
            return more[text]
        if text == held:
            return _endless(at_rest[region])
        if text.endswith(".csv"):
            return self._table(pathlib.Path(text), region)
        try:
            driver = load_driver(run, text)
        except ValueError as error:
            words = ", ".join([*more, held, "a .csv file"])
            raise ValueError(f"--{region}: {error}; nor is it {words}") from error
        frames, own = driver.frame_count, range(record.frame_count)
        drivers = {region: (driver, range(frames))}
        moved = motion.swap(record, own, drivers, frames)
        order = motion.to_and_fro(frames, max(2 * frames - 2, 1))
        return _around(region, moved.signals, order)

    def _table(self, path: pathlib.Path, region: str):
        widths = {r: x.shape[-1] for r, x in self._record.rest._asdict().items()}
        first = curves.table(path, region, widths[region])
        if region != "head":
            return first
        return zip(first, curves.table(path, "torso", widths["torso"]), strict=False)


def _endless(value):
    while True:
        yield value


def _around(region: str, signals: structs.Signals, order: np.ndarray):
    while True:
        for at in order:
            if region == "head":
                yield signals.head[at], signals.torso[at]
            else:
                yield getattr(signals, region)[at]


class LiveAvatar:
    """One person of a run, driven by sound as it comes."""

    def __init__(self, run: Run, avatar: Avatar, sources: Sources, background: str):
        """Gets ready; see `load`."""
        self.speaking = Speaking(run, avatar.record.name, sources)
        self._renderer = avatar.renderer
        self._plate = backdrop.find(background, avatar.record)
        if self._plate is None:
            raise ValueError("a live portrait needs a background other than none")

    @classmethod
    def load(
        cls,
        workdir: pathlib.Path | str,
        identity: str | None = None,
        sources: Sources = Sources(),  # noqa: B008 (a tuple)
        background: str = "plate",
        size: int | None = None,
    ) -> "LiveAvatar":
        """Opens a run.

        Args:
          workdir: its folder.
          identity: whom; a run of one needs no name.
          sources: of the motion.
          background: see `backdrop.find`.
          size: pixels along the longest side; None is the size of training.

        Raises:
          ValueError: there is no such run or identity, or it has no voice.
        """
        run = Run(pathlib.Path(workdir))
        avatar = run.avatar(run.named(identity))
        return cls(run, avatar.at(size) if size else avatar, sources, background)

    @property
    def latency(self) -> float:
        """Seconds of sound that a frame waits for, beyond its own time."""
        voice = self.speaking._voice
        return voice.spec.look_ahead if voice else 0.0

    def push(self, samples: np.ndarray) -> list[np.ndarray]:
        """Hears samples [S], 16 kHz mono; gives frames, uint8 [H, W, 3]."""
        return self._rendered(self.speaking.push(samples))

    def finish(self) -> list[np.ndarray]:
        """Gives the frames that waited for more sound."""
        return self._rendered(self.speaking.finish())

    def _rendered(self, moved: Iterator[Frame]) -> list[np.ndarray]:
        frames = video_file.stream(self._renderer, moved, self._plate)
        return [image_grid.to_uint8(np.asarray(frame.rgb)) for frame in frames]


class SpokenFile:
    """The motion of a sound file from its beginning to its end, once."""

    def __init__(self, speaking: Speaking, path: pathlib.Path):
        """Reads the file once, to refuse what cannot be used.

        Raises:
          ValueError: see `sound_file`.
        """
        self._speaking, self._path = speaking, path
        self._seconds = sound_file.check(path)

    def __len__(self) -> int:
        return max(int(np.ceil(self._seconds * structs.FPS - 1e-6)), 1)

    def __iter__(self) -> Iterator[Frame]:
        for piece in sound_file.read(self._path):
            yield from self._speaking.push(piece)
        yield from self._speaking.finish()


def exported(moved: Iterator[Frame], path: pathlib.Path) -> Iterator[Frame]:
    """Passes frames on and writes their signals into a CSV file."""
    with open(path, "w", newline="") as file:
        writer = None
        for pose, signals in moved:
            if writer is None:
                writer = csv.writer(file)
                writer.writerow(curves.header(len(signals.lip)))
            row = np.concatenate([np.ravel(leaf) for leaf in signals])
            writer.writerow([f"{value:.6g}" for value in row])
            yield pose, signals
