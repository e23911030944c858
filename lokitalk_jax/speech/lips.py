"""Lips of one identity from speech, streaming or from a file.

In pauses the lips take the identity's pause shape, and in longer silence they close.
"""

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.speech import audio2motion, hearing, lip_limits, spoken_clip
from lokitalk_jax.speech.hearing import Inputs, State
from lokitalk_jax.speech.lip_limits import LipLimits
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice


def push(
    state: State,
    voice: Voice,
    limits: LipLimits,
    samples: np.ndarray,
    last: bool = False,
) -> tuple[State, np.ndarray]:
    """Adds samples to a stream that `hearing.begin` began.

    Args:
      state: of the stream.
      voice: adapted to the identity.
      limits: of the identity.
      samples: float [S], 16 kHz mono in [-1, 1].
      last: whether no sound follows.

    Returns:
      the new state, and the lips of the frames that are complete by now, float32
      [F, D_lip].
    """
    state, inputs = hearing.push(state, voice.spec, samples, last)
    return state, _predicted(voice, limits, inputs)


def of_clip(voice: Voice, limits: LipLimits, clip: SpokenClip) -> np.ndarray:
    """Lips from a clip's own sound, as from a sound file: float32 [F, D_lip].

    Raises:
      ValueError: see `spoken_clip.rows`.
    """
    spec, rows = voice.spec, None
    if not hearing.computed(spec):
        rows = spoken_clip.rows(spec, clip)
    state = hearing.begin(spec, rows, hearing.FILE)
    samples = spoken_clip.samples(clip)
    found = push(state, voice, limits, samples, last=True)[1]
    # Sound and pictures of a clip may differ by a frame.
    at = np.minimum(np.arange(len(clip.lip)), len(found) - 1)
    return found[at]


def of_rows(
    voice: Voice, limits: LipLimits, rows: np.ndarray, count: int
) -> np.ndarray:
    """Lips [count, D_lip] from rows [T, inputs + 1] of a whole sound.

    See `spoken_clip.rows`.
    """
    state = hearing.begin(voice.spec, rows)
    samples = np.zeros(count * structs.AUDIO_RATE // structs.FPS, np.float32)
    return push(state, voice, limits, samples, last=True)[1]


def _predicted(voice: Voice, limits: LipLimits, inputs: Inputs) -> np.ndarray:
    lip = np.asarray(audio2motion.apply(voice.params, inputs.windows))
    lip = lip_limits.softened(limits, lip)
    lip += inputs.pause * (limits.paused - lip)
    lip += inputs.silence * (limits.closed - lip)
    return lip.astype(np.float32)
