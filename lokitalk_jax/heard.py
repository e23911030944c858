"""What drives the lips while portraits are trained: tracks, or the clip's own sound.

tracked  lips as tracked
audio    lips as voices tell them that have not learned from the frames told
encoder  lips as an audio encoder tells them that is trained along with the portraits
         (LokiTalk, figure 1); it starts as a voice fitted to the tracked lips
"""

import logging
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import ml_collections
import numpy as np

from lokitalk_jax import portraits, signals
from lokitalk_jax.cast import Cast
from lokitalk_jax.data.dataset import read_tracks
from lokitalk_jax.drive import audio2motion, cross_fit, lips, voice

_LOG = logging.getLogger(__name__)

SOURCES = ("tracked", "audio", "encoder")


class Heard(NamedTuple):
    """What sound adds to training.

    Attributes:
      lips: by name, lip signals [F, D_lip] in place of the tracked ones.
      windows: by name, what the encoder hears at each frame, [F, W, inputs].
      encoder: its first parameters, see `audio2motion.init`; None where there is none.
    """

    lips: Mapping[str, np.ndarray]
    windows: Mapping[str, np.ndarray]
    encoder: dict | None


def begin(
    config: ml_collections.ConfigDict, cast: Cast, prior: pathlib.Path | None
) -> Heard:
    """What `config.lips` asks for.

    Args:
      config: of the run.
      cast: who is trained.
      prior: folder of the run that is adapted.

    Raises:
      ValueError: `config.lips` is unknown, or a clip has no sound.
    """
    if config.lips not in SOURCES:
        raise ValueError(f"lips is {config.lips!r}; it is one of {', '.join(SOURCES)}")
    if config.lips == "tracked":
        return Heard({}, {}, None)
    clips = [_clip(config, cast, folder) for folder in cast.folders]
    known = portraits.load_all(prior, besides=cast.names) if prior else []
    others = [voice.clip_of(one) for one in known]
    _LOG.info("fitting lips to sound, for the portraits to learn from")
    training, hears = voice.training_from(config.voice), config.voice.hears
    if config.lips == "audio":
        mouths = {
            clip.name: lips.mouth(cast.fitted, clip.name, clip.lip[clip.train_frames])
            for clip in clips
        }
        told = cross_fit.told_lips(clips, others, mouths, hears, training, config.seed)
        return Heard(told, {}, None)
    spec = voice.spec_for(hears, clips)
    windows = {clip.name: _windows(spec, clip) for clip in clips}
    made = voice.fit(clips, others, spec, training, config.seed)
    return Heard({}, windows, made.params)


def _clip(config, cast: Cast, folder) -> voice.Clip:
    tracks, train = read_tracks(folder, config.data.max_seconds or None)
    lip = signals.apply(cast.fitted, folder.name, tracks).lip
    frames = np.flatnonzero(train)
    # Nothing is held out here, so that nothing is measured either.
    return voice.Clip(
        folder.name, folder.audio_path, folder.path, lip, frames, frames[:0]
    )


def _windows(spec: audio2motion.Spec, clip: voice.Clip) -> np.ndarray:
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
    return audio2motion.windows(spec, voice.rows(spec, clip), times)
