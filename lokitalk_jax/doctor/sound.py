"""A clip's sound file and the features made of it."""

import pathlib
import wave
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import audio_features
from lokitalk_jax.data.audio_features import KINDS
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding

_QUIET = -32.0  # dB of full scale, RMS
_PER_FRAME = structs.AUDIO_RATE // structs.FPS


def wav(path: pathlib.Path, frames: int, remedy: str) -> Iterator[Finding]:
    """Checks a sound file against the number of frames it goes with."""
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
        yield Finding(ERROR, "sound_unreadable", where, f"not a WAV ({error})", remedy)
        return
    if rate != structs.AUDIO_RATE:
        yield Finding(ERROR, "sound_rate", where, f"{rate} Hz instead of 16000", remedy)
    if channels != 1:
        yield Finding(
            ERROR, "sound_channels", where, f"{channels} channels instead of 1", remedy
        )
    if width != 2:
        yield Finding(
            ERROR, "sound_format", where, f"{8 * width} bits instead of 16", remedy
        )
    if width != 2 or not rate or not len(data):
        if not len(data):
            yield Finding(ERROR, "sound_short", where, "it is empty", remedy)
        return
    late = count / rate * structs.FPS - frames
    if late < -2.5:
        yield Finding(
            ERROR,
            "sound_short",
            where,
            f"{count / rate:.2f} s of sound for {frames / structs.FPS:.2f} s of frames",
            remedy,
        )
    elif late > 2.5:
        yield Finding(
            WARNING,
            "sound_long",
            where,
            f"{count / rate:.2f} s of sound for {frames / structs.FPS:.2f} s of frames",
            f"check that it starts with the frames; {remedy}",
        )
    yield from _level(np.frombuffer(data, "<i2") / 32768, where)


def _level(samples: np.ndarray, where: str) -> Iterator[Finding]:
    level = 10 * np.log10(max(float((samples**2).mean()), 1e-12))
    if level < -70:
        yield Finding(
            WARNING,
            "sound_silent",
            where,
            f"nothing is heard ({level:.0f} dB of full scale)",
            "record the sound again, or prepare it without sound",
        )
    elif level < _QUIET:
        yield Finding(
            WARNING,
            "sound_quiet",
            where,
            f"quiet: {level:.0f} dB of full scale",
            f"raise it to about -23 dB, as with ffmpeg -af volume={-23 - level:.0f}dB",
        )
    clipped = float((np.abs(samples) >= 32766 / 32768).mean())
    if clipped > 0.001:
        yield Finding(
            WARNING,
            "sound_clipped",
            where,
            f"{100 * clipped:.1f}% of the samples are at full scale",
            "record at a lower level",
        )


def windows(path: pathlib.Path, frames: int) -> Iterator[Finding]:
    """Checks features of another program, one window a frame."""
    where = path.name
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        yield Finding(
            ERROR,
            "features_unreadable",
            where,
            f"cannot be read ({error})",
            "make the features again",
        )
        return
    kind = KINDS.get(audio_features.width(rows.shape))
    if kind is None:
        yield Finding(
            ERROR,
            "features_kind",
            where,
            f"{rows.dtype} {rows.shape} is no known kind of audio features",
            "known last axes: " + ", ".join(f"{k} {v}" for k, v in KINDS.items()),
        )
        return
    yield Finding(NOTE, "features_kind", where, f"{kind} features {rows.shape}", "none")
    if not np.isfinite(rows).all():
        yield Finding(
            ERROR, "features_nan", where, "not finite", "make the features again"
        )
    if abs(len(rows) - frames) > 2:
        yield Finding(
            ERROR,
            "features_length",
            where,
            f"{len(rows)} rows for {frames} frames",
            "make the features again from aud.wav, at 25 rows a second",
        )
