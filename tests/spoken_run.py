"""The tiny run with a voice that was fitted in seconds, and a sound file."""

import pathlib
import shutil
from typing import NamedTuple

import numpy as np
import scipy.io.wavfile

from lokitalk_jax import structs
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.media import sound_file
from lokitalk_jax.media.sound_file import Sound
from lokitalk_jax.speech import clip_fitting, lip_limits, spoken_clip, voice
from lokitalk_jax.speech.lip_limits import LipLimits
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

SECONDS = 1.5
FRAMES = int(np.ceil(SECONDS * structs.FPS))


class SpokenRun(NamedTuple):
    """The run, an identity of it, and 1.5 s of sound.

    Attributes:
      workdir, run: the run's folder, and the run opened.
      name, record, clip, limits: of the first identity.
      voice: of the run.
      path, opened, sound: a WAV file, the same opened, and its samples.
    """

    workdir: pathlib.Path
    run: OpenRun
    name: str
    record: ClipRecord
    clip: SpokenClip
    limits: LipLimits
    voice: Voice
    path: pathlib.Path
    opened: Sound
    sound: np.ndarray


def make(tiny_run, root: pathlib.Path) -> None:
    """Fills a folder with the run and the sound."""
    workdir = root / "run"
    shutil.copytree(tiny_run.workdir, workdir)
    clips = [spoken_clip.of_record(one) for one in clip_records.load_all(workdir)]
    basis = OpenRun(workdir).lip_basis
    voice.save(workdir, fitted("phones", clips, basis))
    sound = spoken_clip.samples(clips[0])[: int(SECONDS * structs.AUDIO_RATE)]
    scipy.io.wavfile.write(root / "said.wav", structs.AUDIO_RATE, sound)


def fitted(hears: str, clips: list[SpokenClip], lip_basis: np.ndarray) -> Voice:
    """A voice that is fitted to clips, from that of the package if there is one."""
    start = clip_fitting.start_for(hears, clips, lip_basis)
    rows = clip_fitting.read_rows(start.spec, clips)
    return clip_fitting.fit(start, clips, [], rows)


def at(root: pathlib.Path) -> SpokenRun:
    """Opens what `make` made."""
    workdir, path = root / "run", root / "said.wav"
    run = OpenRun(workdir)
    name = run.identities[0]
    record = run.record(name)
    clip = spoken_clip.of_record(record)
    return SpokenRun(
        workdir,
        run,
        name,
        record,
        clip,
        lip_limits.of_clip(run.fitted, clip),
        voice.load(workdir),
        path,
        sound_file.open_sound(path),
        scipy.io.wavfile.read(path)[1],
    )
