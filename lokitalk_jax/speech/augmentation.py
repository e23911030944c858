"""The same words by another voice, in another room, through another microphone."""

import numpy as np
import scipy.signal

from lokitalk_jax import structs

# Least and most: of the speed, of the signal to the noise in dB, of the reverberation
# in seconds.
_SPEEDS, _SIGNAL_TO_NOISE, _REVERBERATION = (0.9, 1.1), (10.0, 35.0), (0.05, 0.3)
_ECHO = 0.4  # most energy of the reverberation, as a share of the sound's amplitude


def change(rng: np.random.Generator, heard: np.ndarray) -> tuple[np.ndarray, float]:
    """Changes a piece of sound.

    Args:
      rng: of the change.
      heard: float [S], 16 kHz mono.

    Returns:
      float32 of another length, and how much faster it is.
    """
    parts = round(100 * rng.uniform(*_SPEEDS))
    changed = scipy.signal.resample_poly(heard, 100, parts)

    seconds = rng.uniform(*_REVERBERATION)
    length = int(seconds * structs.AUDIO_RATE)
    echo = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    echo *= rng.uniform(0, _ECHO) / np.linalg.norm(echo)
    echo[0] = 1
    changed = scipy.signal.fftconvolve(changed, echo)[: len(changed)]

    noise = rng.normal(size=len(changed))
    if rng.random() < 0.5:
        noise = scipy.signal.lfilter([1], [1, -0.95], noise)
    level = 10 ** (-rng.uniform(*_SIGNAL_TO_NOISE) / 20)
    changed += noise * level * changed.std() / noise.std()
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    return (changed * gain).astype(np.float32), parts / 100
