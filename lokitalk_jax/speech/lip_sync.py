"""The offset between the sound of a clip and its lips, by the package's voice.

Lips that the voice predicts from the sound are correlated with the tracked ones at
every lag. A clip is sure where one lag stands out: its correlation is high, and higher
than those elsewhere.
"""

import contextlib
import logging
import os
import shutil
from typing import NamedTuple

import msgspec
import numpy as np

from lokitalk_jax import files, folder_lock, structs
from lokitalk_jax.data import layout, signals
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.data.layout import Tracks
from lokitalk_jax.media import clip_sound
from lokitalk_jax.speech import voice as voices
from lokitalk_jax.speech.spoken_clip import SpokenClip

_LOG = logging.getLogger(__name__)

AUTO = "auto"
LARGEST = 0.04  # seconds of offset that nobody notices
_REACH = 15  # frames of lag that are tried, either way
_AROUND = 4  # frames next to the best lag that belong to its peak
# Smallest correlation at the best lag: of any clip, and times the root of the number of
# frames, since in short clips any two signals agree at some lag. Its lead over lags
# elsewhere.
_HIGH, _CHANCE, _LEAD = 0.4, 4.5, 0.12
_FEWEST = 50  # frames
_LONGEST = 2.0  # seconds of an offset that is given
# Figures in `Meta.quality`: the offset, what is known of it, and how far the sound was
# moved.
_KEY, MOVED = "audio_offset_ms", "audio_advanced_ms"
_CORRELATION, _SURE = "audio_offset_correlation", "audio_offset_sure"
NOTES = (_KEY, _CORRELATION, _SURE, MOVED)
_ORIGINAL = ".original.wav"  # the sound before it was moved, until that is noted


class Offset(NamedTuple):
    """Where the sound of a clip is.

    Attributes:
      seconds: by which the sound is later than the lips.
      correlation: of predicted and tracked lips with this offset removed.
      lead: of this correlation over the highest at other lags.
      frames: that were compared.
    """

    seconds: float
    correlation: float
    lead: float
    frames: int

    @property
    def sure(self) -> bool:
        """Whether one lag stands out."""
        least = max(_HIGH, _CHANCE / self.frames**0.5)
        return self.correlation >= least and self.lead >= _LEAD

    @property
    def noticeable(self) -> bool:
        """Whether the offset is sure, and large enough to be noticed."""
        return self.sure and abs(self.seconds) > LARGEST


def estimate(clip: SpokenClip, tracks: Tracks) -> Offset | None:
    """The offset of a clip; None where it has no sound or hardly a face.

    Args:
      clip: its sound; its lips are not read.
      tracks: of its F frames.
    """
    known = tracks.valid & ~tracks.duplicate
    if clip.audio is None or known.sum() < _FEWEST:
        return None
    voice = voices.shipped(voices.usable_features("whisper"))
    _, tracked = signals.fit_apply(
        {clip.name: tracks}, {clip.name: known}, lip_basis=voice.lip_basis
    )
    true = tracked[clip.name].lip
    predicted = voices.predict(voice, clip._replace(lip=true))
    return best(predicted, true, known)


def best(predicted: np.ndarray, true: np.ndarray, known: np.ndarray) -> Offset:
    """The lag at which predicted lips [F, D_lip] agree best with true ones.

    Args:
      predicted, true: of all frames.
      known: bool [F], frames that count.
    """
    lags = np.arange(-_REACH, _REACH + 1)
    found = np.array([_correlation(predicted, true, known, int(lag)) for lag in lags])
    best = int(np.argmax(found[1:-1])) + 1
    before, here, after = found[best - 1 : best + 2]
    bend = before - 2 * here + after
    part = 0.5 * (before - after) / bend if bend < 0 else 0.0
    elsewhere = found[np.abs(lags - lags[best]) > _AROUND].max()
    # Lips that are predicted `lag` frames after the true ones come from late sound.
    seconds = (lags[best] + np.clip(part, -0.5, 0.5)) / structs.FPS
    count = int(known.sum())
    return Offset(float(seconds), float(here), float(here - elsewhere), count)


def _correlation(predicted, true, known, lag: int) -> float:
    """Mean over coefficients, weighted by their spread, with a lag in frames."""
    frames = np.flatnonzero(known)
    frames = frames[(frames + lag >= 0) & (frames + lag < len(predicted))]
    if len(frames) < _FEWEST // 2:
        return 0.0
    x, y = predicted[frames + lag], true[frames]
    x, y = x - x.mean(0), y - y.mean(0)
    spread = np.sqrt((x**2).mean(0) * (y**2).mean(0))
    return float((x * y).mean(0).sum() / max(spread.sum(), 1e-9))


def of_folder(folder: IdentityFolder) -> Offset | None:
    """The offset of an identity folder, see `estimate`."""
    tracks = folder.tracks()
    frames = np.arange(len(tracks.valid))
    lip = np.zeros((len(frames), 1), np.float32)
    clip = SpokenClip(
        folder.name, folder.audio_path, folder.path, lip, frames, frames[:0]
    )
    return estimate(clip, tracks)


def correct(path: str | os.PathLike, chosen: str | float = AUTO) -> IdentityFolder:
    """Puts the sound of an identity folder in step with its lips, once.

    The offset and its correlation are written into identity.json, and the log says what
    was done. Called again after it was interrupted, it gives the same.

    Args:
      path: the folder.
      chosen: milliseconds by which the sound is later than the lips; "auto" estimates
        them, and corrects an offset that is noticeable.

    Raises:
      ValueError: `chosen` is neither, or another offset was corrected before; this is
        no identity folder, or another process writes to it.
    """
    folder, seconds = IdentityFolder(path), parsed(chosen)
    known = folder.meta.quality.get(_KEY)
    if known is not None:
        if seconds is not None and round(1000 * seconds) != known:
            raise ValueError(
                f"audio_offset={chosen}: the sound of {path} is in step already, after "
                f"an offset of {known:g} ms; prepare the video anew for another one"
            )
        (folder.path / _ORIGINAL).unlink(missing_ok=True)
        return folder
    if folder.audio_path is None or seconds == 0:
        return folder
    with folder_lock.hold(folder.path):
        files.sweep(folder.path)
        # Moved, but not noted: the process was killed between the two.
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder.path / _ORIGINAL, folder.path / layout.SOUND)
        return _corrected(IdentityFolder(path), seconds)


def _corrected(folder: IdentityFolder, seconds: float | None) -> IdentityFolder:
    """Corrects a locked folder, by an estimate where `seconds` is None."""
    if _KEY in folder.meta.quality or folder.audio_path is None:
        return folder
    found, notes = None, {}
    if seconds is None:
        found = of_folder(folder)
        if found is None:
            return folder
        seconds = found.seconds if found.noticeable else 0.0
        notes = {
            _KEY: round(1000 * found.seconds),
            _CORRELATION: round(found.correlation, 3),
            _SURE: found.sure,
        }
    else:
        notes = {_KEY: round(1000 * seconds)}
    notes[MOVED] = round(1000 * seconds)
    writer = FolderWriter(folder.path)
    original = folder.path / _ORIGINAL
    if seconds:
        with files.replacing(original) as temporary:
            shutil.copyfile(folder.audio_path, temporary)
        samples = clip_sound.samples(folder.audio_path)
        late = round(seconds * structs.AUDIO_RATE)
        moved = np.roll(samples, -late)
        moved[slice(-late, None) if late > 0 else slice(0, -late)] = 0
        writer.write_sound(moved)
        _LOG.info(
            "%s: the sound was %.0f ms late and is now in step",
            folder.path,
            1e3 * seconds,
        )
    elif found and not found.sure:
        _LOG.warning(
            "%s: lips and sound hardly agree, so their offset is not known; check that "
            "they belong together",
            folder.path,
        )
    quality = folder.meta.quality | notes
    writer.write_meta(msgspec.structs.replace(folder.meta, quality=quality))
    original.unlink(missing_ok=True)
    return IdentityFolder(folder.path)


def parsed(chosen: str | float) -> float | None:
    """Seconds of an offset in milliseconds; None for "auto", an estimate.

    Raises:
      ValueError: `chosen` is neither.
    """
    if chosen == AUTO:
        return None
    try:
        seconds = float(chosen) / 1000
    except ValueError:
        seconds = np.inf
    if not abs(seconds) <= _LONGEST:
        raise ValueError(
            f"audio_offset={chosen} is neither auto nor a number of milliseconds "
            f"between -{1000 * _LONGEST:.0f} and {1000 * _LONGEST:.0f}"
        )
    return seconds
