"""Augmentation of speech: another speed, room, noise and level."""

import numpy as np
import scipy.signal

from lokitalk_jax import structs

# Ranges of the speed, of the signal-to-noise ratio in dB and of the length of the
# reverberation in seconds.
_SPEEDS, _SIGNAL_TO_NOISE, _REVERBERATION = (0.9, 1.1), (10.0, 35.0), (0.05, 0.3)
_ECHO = 0.4  # largest norm of the reverberation; that of the direct sound is 1


def augment(rng: np.random.Generator, samples: np.ndarray) -> tuple[np.ndarray, float]:
    """A random variant of a recording.

    Args:
      rng: of the variant.
      samples: float [S], 16 kHz mono.

    Returns:
      samples of the variant, float32 of another length, and its speed relative to the
      recording.
    """
    parts = round(100 * rng.uniform(*_SPEEDS))
    variant = np.asarray(scipy.signal.resample_poly(samples, 100, parts))

    seconds = rng.uniform(*_REVERBERATION)
    length = int(seconds * structs.AUDIO_RATE)
    echo = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    echo *= rng.uniform(0, _ECHO) / np.linalg.norm(echo)
    echo[0] = 1
    variant = scipy.signal.fftconvolve(variant, echo)[: len(variant)]

    noise = rng.normal(size=len(variant))
    if rng.random() < 0.5:
        noise = np.asarray(scipy.signal.lfilter([1], [1, -0.95], noise))
    level = 10 ** (-rng.uniform(*_SIGNAL_TO_NOISE) / 20)
    variant += noise * level * variant.std() / noise.std()
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    return (variant * gain).astype(np.float32), parts / 100
