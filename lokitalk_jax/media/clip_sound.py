"""The sound of a clip: the 16 kHz mono WAV file that identity folders and runs keep."""

import os

import numpy as np
import scipy.io.wavfile

from lokitalk_jax import structs


def samples(path: str | os.PathLike) -> np.ndarray:
    """All samples, float32 [S] in [-1, 1]."""
    return scipy.io.wavfile.read(path)[1].astype(np.float32) / 32768


def of_frames(
    path: str | os.PathLike | None, frames: range
) -> tuple[np.ndarray, int] | None:
    """The samples during some frames, int16, and their rate; None where none are."""
    if path is None:
        return None
    rate, found = scipy.io.wavfile.read(path, mmap=True)
    start, stop = (round(i * rate / structs.FPS) for i in (frames.start, frames.stop))
    found = found[start:stop]
    return (found, rate) if len(found) else None
