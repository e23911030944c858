"""Adapts a voice to an identity's manner of speaking, from seconds of its clip.

A voice predicts lips of the usual spread about the mean shape. People differ by a
factor of two in how far they move their lips for the same sound: the voice is scaled to
the spread of the identity's own lips, and shifted to their mean. From few seconds the
spread is uncertain, and the scale stays near that of other people.
"""

import numpy as np

from lokitalk_jax.speech import audio2motion, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

_HALF_WAY = 50  # frames that move the scale half of its way from that of others
_FEWEST = 10  # frames; fewer change nothing
_LIMITS = 0.4, 2.5


def adapted(
    voice: Voice,
    clip: SpokenClip,
    rows: np.ndarray | None = None,
    lip_scale: float | None = None,
) -> Voice:
    """The voice for the identity of a clip, by the clip's training frames.

    Args:
      voice: in the lip basis of the clip.
      clip: without sound, or without the features of the voice, it changes nothing.
      rows: its feature rows, if they are known; see `spoken_clip.rows`.
      lip_scale: metres of a unit of the clip's lip coefficients; where it is not given,
        it is taken for that of other people.
    """
    frames = clip.train_frames
    known = spoken_clip.has_features(voice.spec, clip)
    if not known or len(frames) < _FEWEST:
        return voice
    if rows is None:
        rows = spoken_clip.rows(voice.spec, clip)
    times = frames * audio2motion.ROWS_PER_FRAME
    windows = audio2motion.windows(voice.spec, rows[:, :-1], times)
    predicted = np.asarray(audio2motion.apply(voice.params, windows))
    true = clip.lip[frames]
    scale = _scale(predicted, true, (lip_scale or voice.lip_scale) / voice.lip_scale)
    shift = true.mean(0) - scale * predicted.mean(0)
    kernel, bias = voice.params["kernel"], voice.params["bias"]
    params = voice.params | {
        "kernel": np.float32(scale * kernel),
        "bias": np.float32(scale * bias + shift),
    }
    return voice._replace(params=params)


def _scale(predicted: np.ndarray, true: np.ndarray, unit: float) -> float:
    """Factor of predicted lips [F, D_lip] that have the spread of true ones.

    Args:
      predicted, true: of F frames.
      unit: of the true lips, in units of other people's.
    """
    ratio = np.sqrt(true.var(0).sum() / max(predicted.var(0).sum(), 1e-12)) * unit
    share = len(true) / (len(true) + _HALF_WAY)
    return float(np.clip(ratio, *_LIMITS) ** share / unit)
