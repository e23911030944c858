"""A synthetic voice: syllables whose sound follows the opening of the mouth.

A source-filter model (Fant, 1960): a pulse train with some breath, through three
formant resonators that follow the mouth. Vowels can be heard in it, and learned.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from lokitalk_jax import structs

CONTROL_RATE = 200  # a second

# Vowels: opening of the mouth and spread, both as shares, and formants in hertz
# (typical adult values, as in Peterson and Barney, 1952).
_VOWELS = np.array(
    [
        (1.00, 0.05, 750, 1200, 2500),  # a
        (0.65, 0.60, 530, 1850, 2500),  # e
        (0.35, 1.00, 290, 2250, 2950),  # i
        (0.60, -0.60, 540, 880, 2450),  # o
        (0.30, -1.00, 310, 880, 2300),  # u
        (0.50, 0.00, 550, 1450, 2450),  # schwa
    ]
)
_BANDWIDTHS = (80, 110, 170)


class Speech(NamedTuple):
    """Synthetic speech and its mouth motion.

    Attributes:
      audio: float32 [seconds * AUDIO_RATE], within +-1.
      opening: [seconds * CONTROL_RATE], 0 shut to about 1.
      spread: [seconds * CONTROL_RATE], -1 rounded to 1 spread.
    """

    audio: np.ndarray
    opening: np.ndarray
    spread: np.ndarray


def speak(seconds: float, rng: np.random.Generator, pitch: float) -> Speech:
    """Generates speech: phrases of syllables with pauses between.

    Args:
      seconds: length.
      rng: source of all that is random.
      pitch: mean frequency of the voice, hertz.
    """
    steps = round(seconds * CONTROL_RATE)
    opening, spread, voicing, hiss = np.zeros((4, steps))
    formants = np.tile(_VOWELS[-1, 2:], (steps, 1))
    at = round(rng.uniform(0.1, 0.4) * CONTROL_RATE)
    left = rng.integers(4, 10)
    while at < steps:
        shut = round(rng.uniform(0.05, 0.09) * CONTROL_RATE)
        held = round(rng.uniform(0.09, 0.22) * CONTROL_RATE)
        vowel = _VOWELS[rng.integers(len(_VOWELS))]
        if rng.random() < 0.4:
            hiss[at : at + shut] = rng.uniform(0.3, 1)
        vowel_span = slice(at + shut, at + shut + held)
        opening[vowel_span] = vowel[0] * rng.uniform(0.75, 1.1)
        voicing[vowel_span] = rng.uniform(0.7, 1)
        spread[at : at + shut + held] = vowel[1]
        formants[at : at + shut + held] = vowel[2:]
        at += shut + held
        left -= 1
        if left == 0:
            at += round(rng.uniform(0.3, 0.8) * CONTROL_RATE)
            left = rng.integers(4, 10)
    smooth = 0.028 * CONTROL_RATE
    curves = np.stack([opening, spread, voicing])
    opening, spread, voicing = np.asarray(gaussian_filter1d(curves, smooth))
    hiss = gaussian_filter1d(hiss, smooth / 3)
    formants = gaussian_filter1d(formants, smooth, axis=0)
    melody = pitch * (1 + 0.10 * smooth_noise(rng, steps, 0.7 * CONTROL_RATE))
    audio = _sound(rng, voicing, hiss, melody, formants)
    return Speech(audio, opening, spread)


def smooth_noise(rng: np.random.Generator, count: int, scale: float) -> np.ndarray:
    """Noise [count] with zero mean and unit deviation, smooth over `scale` steps."""
    noise = gaussian_filter1d(rng.standard_normal(count), scale, mode="wrap")
    noise -= noise.mean()
    return noise / max(noise.std(), 1e-12)


def _sound(rng, voicing, hiss, melody, formants) -> np.ndarray:
    hop = structs.AUDIO_RATE // CONTROL_RATE
    count = len(voicing) * hop
    steps = np.arange(len(voicing))
    fine = np.arange(count) / hop
    phase = np.cumsum(np.interp(fine, steps, melody)) / structs.AUDIO_RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    # Two poles give the glottal source its -12 dB an octave.
    source = lfilter([1], [1, -1.8, 0.81], pulses)
    source += 0.02 * rng.standard_normal(count)
    source = source * np.interp(fine, steps, voicing)
    states = np.zeros((3, 2))
    out = np.empty(count)
    for step in range(len(voicing)):
        chunk = source[step * hop : (step + 1) * hop]
        for i in range(3):
            b, a = _resonator(formants[step, i], _BANDWIDTHS[i])
            chunk, states[i] = lfilter(b, a, chunk, zi=states[i])
        out[step * hop : (step + 1) * hop] = chunk
    noise = np.asarray(lfilter([1, -0.9], [1], rng.standard_normal(count)))
    out = np.asarray(lfilter([1, -0.95], [1], out))  # radiation at the lips
    out = 0.5 * out / np.abs(out).max() + 0.02 * noise * np.interp(fine, steps, hiss)
    return out.astype(np.float32)


def _resonator(frequency: float, bandwidth: float):
    """A two-pole filter with unit gain at zero frequency (Klatt, 1980)."""
    radius = np.exp(-np.pi * bandwidth / structs.AUDIO_RATE)
    turn = 2 * np.pi * frequency / structs.AUDIO_RATE
    a = [1, -2 * radius * np.cos(turn), radius * radius]
    return [sum(a)], a
