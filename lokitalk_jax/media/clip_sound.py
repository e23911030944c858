"""The sound of a clip: the 16 kHz mono WAV file that identity folders and runs keep."""

import os
import warnings
import wave

import numpy as np
import scipy.io.wavfile

from lokitalk_jax import files, structs

_PIECE = 60 * structs.AUDIO_RATE  # samples that are converted at a time
_REMEDY = "prepare the video again, or resume the training of the run"


def samples(path: str | os.PathLike) -> np.ndarray:
    """All samples, float32 [S] in [-1, 1].

    Raises:
      ValueError: the file is damaged.
    """
    return _read(path)[1].astype(np.float32) / 32768


def of_frames(
    path: str | os.PathLike | None, frames: range
) -> tuple[np.ndarray, int] | None:
    """Samples during some frames, int16 [S], and their rate; None where none are."""
    if path is None:
        return None
    rate, found = _read(path, mmap=True)
    start, stop = (round(i * rate / structs.FPS) for i in (frames.start, frames.stop))
    found = found[start:stop]
    return (found, rate) if len(found) else None


def write(path: str | os.PathLike, samples: np.ndarray) -> None:
    """Writes samples, float [S], 16 kHz mono in [-1, 1]."""
    with (
        files.replacing(path) as temporary,
        wave.open(str(temporary), "wb") as file,
    ):
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(structs.AUDIO_RATE)
        for start in range(0, len(samples), _PIECE):
            piece = np.clip(samples[start : start + _PIECE], -1, 1)
            file.writeframes((piece * 32767).astype("<i2").tobytes())


def _read(path: str | os.PathLike, mmap: bool = False) -> tuple[int, np.ndarray]:
    """The rate and the samples, int16 [S]."""
    try:
        with warnings.catch_warnings(action="ignore"):  # scipy skips some chunks
            rate, found = scipy.io.wavfile.read(path, mmap=mmap)
    except OSError:
        raise
    except Exception as error:  # its type depends on the damage
        raise ValueError(f"{path} is damaged ({error}); {_REMEDY}") from error
    if (rate, found.dtype, found.ndim) != (structs.AUDIO_RATE, np.int16, 1):
        raise ValueError(
            f"{path} is {found.dtype} {found.shape} at {rate} Hz, not 16-bit mono at "
            f"{structs.AUDIO_RATE} Hz; {_REMEDY}"
        )
    return rate, found
