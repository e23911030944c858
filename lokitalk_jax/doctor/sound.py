"""Checks a clip's sound file and audio features of other programs."""

import pathlib
import wave
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import audio_features, layout
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding

_QUIET = -32.0  # dB of full scale, RMS
_USUAL = -23.0  # the same, of speech
_SILENT = -70.0  # the same
_SLACK = 2.5  # frames by which sound may be shorter or longer


def wav(path: pathlib.Path, frames: int, remedy: str) -> Iterator[Finding]:
    """Checks the sound file of a clip of `frames` frames."""
    where = path.name
    if not path.is_file():
        yield Finding(ERROR, "no_sound", where, "there is no such file", remedy)
        return
    try:
        with wave.open(str(path)) as file:
            rate, channels = file.getframerate(), file.getnchannels()
            width, count = file.getsampwidth(), file.getnframes()
            data = file.readframes(count)
    except (wave.Error, EOFError) as error:
        seen = f"not a WAV file ({error})"
        yield Finding(ERROR, "sound_unreadable", where, seen, remedy)
        return
    faults = {
        "sound_rate": (rate, structs.AUDIO_RATE, "Hz"),
        "sound_channels": (channels, 1, "channels"),
        "sound_format": (8 * width, 16, "bits"),
    }
    for check, (found, wanted, unit) in faults.items():
        if found != wanted:
            seen = f"{found} {unit} instead of {wanted}"
            yield Finding(ERROR, check, where, seen, remedy)
    if not data:
        yield Finding(ERROR, "sound_short", where, "it is empty", remedy)
        return
    if width != 2 or not rate:
        return
    seen = f"{count / rate:.2f} s of sound for {frames / structs.FPS:.2f} s of frames"
    excess = count / rate * structs.FPS - frames
    if excess < -_SLACK:
        yield Finding(ERROR, "sound_short", where, seen, remedy)
    elif excess > _SLACK:
        check_start = f"check that it starts with the frames; {remedy}"
        yield Finding(WARNING, "sound_long", where, seen, check_start)
    yield from _level(np.frombuffer(data, "<i2") / 32768, where)


def in_step(meta: layout.Meta) -> Iterator[Finding]:
    """Reports the offset between sound and lips that preparation found."""
    late, where = meta.quality.get("audio_offset_ms"), layout.META
    if late is None:
        return
    moved = meta.quality.get("audio_advanced_ms")
    if not meta.quality.get("audio_offset_sure", True):
        seen = "lips and sound hardly agree, so their offset is not known"
        remedy = "look at the preview; prepare with audio_offset in milliseconds"
        yield Finding(WARNING, "sound_unsure", where, seen, remedy)
    elif moved:
        seen = f"the sound of the video was {late} ms late and was put in step"
        remedy = "none; prepare with audio_offset=0 to keep it"
        yield Finding(NOTE, "sound_moved", where, seen, remedy)


def _level(samples: np.ndarray, where: str) -> Iterator[Finding]:
    level = 10 * np.log10(max(float((samples**2).mean()), 1e-12))
    if level < _SILENT:
        seen = f"silent ({level:.0f} dB of full scale)"
        remedy = "record the sound again, or prepare it without sound"
        yield Finding(WARNING, "sound_silent", where, seen, remedy)
    elif level < _QUIET:
        seen = f"quiet: {level:.0f} dB of full scale"
        remedy = f"raise it to about {_USUAL:.0f} dB, as with ffmpeg -af "
        remedy += f"volume={_USUAL - level:.0f}dB"
        yield Finding(WARNING, "sound_quiet", where, seen, remedy)
    clipped = float((np.abs(samples) >= 32766 / 32768).mean())
    if clipped > 0.001:
        seen = f"{100 * clipped:.1f}% of the samples are at full scale"
        remedy = "record at a lower level"
        yield Finding(WARNING, "sound_clipped", where, seen, remedy)


def features(path: pathlib.Path, frames: int) -> Iterator[Finding]:
    """Checks audio features of another program."""
    try:
        kind, _ = audio_features.load(path, frames)
    except layout.Fault as fault:
        yield Finding(ERROR, fault.kind, path.name, str(fault), audio_features.REMEDY)
    else:
        yield Finding(NOTE, "features_kind", path.name, f"{kind} features", "none")
