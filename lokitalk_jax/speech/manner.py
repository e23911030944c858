"""The speaking style of an identity: range, direction and mean of its lip motion.

A voice predicts lips of the usual spread about the mean shape. For the same sound
people differ by a factor of two in how far their lips move, and in their direction. A
style is a gain, a small linear map and a shift, measured on seconds of a clip; from few
seconds the spread is uncertain, so the gain stays near that of other people, and the
map near the identity map. The style of an unknown speaker is neutral: no change.
"""

from typing import NamedTuple

import numpy as np

from lokitalk_jax.speech import audio2motion, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip
from lokitalk_jax.speech.voice import Voice

_HALF_WAY = 50  # frames after which the gain is half way from that of others
_PULL = 1000  # frames that pull the map to the identity map
_FEWEST = 10  # frames; fewer change nothing
_LIMITS = 0.4, 2.5  # of the gain


class Style(NamedTuple):
    """A speaking style, in the units of a voice.

    Attributes:
      map: [D_lip, D_lip], from predicted coefficients to the identity's, the gain
        included.
      shift: [D_lip], added to these.
    """

    map: np.ndarray
    shift: np.ndarray


def neutral(voice: Voice) -> Style:
    """The style of an unknown speaker."""
    count = voice.spec.lip_dim
    return Style(np.eye(count), np.zeros(count))


def measured(
    voice: Voice,
    clip: SpokenClip,
    rows: np.ndarray | None = None,
    lip_scale: float | None = None,
) -> Style:
    """The style of the identity of a clip, by the clip's training frames.

    Args:
      voice: in the lip basis of the clip.
      clip: without sound, or without the features of the voice, its style is neutral.
      rows: [T, inputs + 1], its feature rows, if they are known; see
        `spoken_clip.rows`.
      lip_scale: metres of a unit of the clip's lip coefficients; where it is not given,
        it is taken for that of other people.
    """
    frames = clip.train_frames
    if not spoken_clip.has_features(voice.spec, clip) or len(frames) < _FEWEST:
        return neutral(voice)
    if rows is None:
        rows = spoken_clip.rows(voice.spec, clip)
    times = frames * audio2motion.ROWS_PER_FRAME
    windows = audio2motion.windows(voice.spec, rows[:, :-1], times)
    predicted = np.asarray(audio2motion.apply(voice.params, windows))
    true = clip.lip[frames] * ((lip_scale or voice.lip_scale) / voice.lip_scale)
    x, y = predicted - predicted.mean(0), true - true.mean(0)
    found = _map(_gain(x, y) * x, y) * _gain(x, y)
    return Style(found, true.mean(0) - predicted.mean(0) @ found)


def _gain(predicted: np.ndarray, true: np.ndarray) -> float:
    """Factor of predicted lips [F, D_lip] that gives them the spread of true ones."""
    ratio = np.sqrt(np.sum(true**2) / max(np.sum(predicted**2), 1e-12))
    share = len(true) / (len(true) + _HALF_WAY)
    return float(np.clip(ratio, *_LIMITS) ** share)


def _map(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Linear map [D_lip, D_lip] of predicted lips, near the zero map.

    It is fitted to what a multiple of the predicted lips leaves, since least squares
    need lips that move less than true ones.
    """
    power = predicted.T @ predicted
    share = np.sum(predicted * true) / max(np.trace(power), 1e-12)
    share = float(np.clip(share, 0.2, 1))
    unit = np.eye(len(power))
    stiffness = _PULL * np.trace(power) / len(true) / len(power)
    left = predicted.T @ (true - share * predicted)
    return unit + np.linalg.solve(power + max(stiffness, 1e-12) * unit, left) / share


def in_style(voice: Voice, style: Style, lip_scale: float | None = None) -> Voice:
    """The voice in a style.

    Args:
      voice: that the style was measured with.
      style: see `measured`.
      lip_scale: metres of a unit of the lip coefficients to predict, see `measured`.
    """
    unit = voice.lip_scale / (lip_scale or voice.lip_scale)
    kernel, bias = voice.params["kernel"], voice.params["bias"]
    params = voice.params | {
        "kernel": np.float32(unit * (kernel @ style.map)),
        "bias": np.float32(unit * (bias @ style.map + style.shift)),
    }
    return voice._replace(params=params)


def adapted(
    voice: Voice,
    clip: SpokenClip,
    rows: np.ndarray | None = None,
    lip_scale: float | None = None,
) -> Voice:
    """The voice in the style of a clip's identity, by `rows` [T, inputs + 1].

    The arguments are `measured`'s.
    """
    style = measured(voice, clip, rows, lip_scale)
    return in_style(voice, style, lip_scale)
