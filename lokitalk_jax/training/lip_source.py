"""The source of the lip signal in training: the tracks, or the clip's own sound.

tracked  lips as tracked
audio    lips predicted by Audio2Motion models that were not trained on those frames
encoder  lips predicted by an audio encoder that is trained with the avatars (LokiTalk,
         figure 1); it starts as an Audio2Motion fitted to the tracked lips
"""

import json
import logging
import pathlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np

from lokitalk_jax import files
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records, npz_file
from lokitalk_jax.data.folder import IdentityFolder
from lokitalk_jax.progress import Progress
from lokitalk_jax.speech import clip_fitting, cross_fit, lip_limits, spoken_clip
from lokitalk_jax.speech import voice as voices
from lokitalk_jax.structs import Config, Signals
from lokitalk_jax.training import same_clips
from lokitalk_jax.training.training_set import TrainingSet

_LOG = logging.getLogger(__name__)

SOURCES = ("tracked", "audio", "encoder")
# Array with the digests of the clips; no path in a tree of arrays begins like that.
_CLIPS = "/clips"


class LipSource(NamedTuple):
    """The driving signals of training, and the audio encoder that is trained along.

    Attributes:
      signals: by name, of every frame of every clip, leaves [F, ...].
      audio_windows: by name, inputs of the encoder at each frame, [F, W, inputs]; empty
        without encoder.
      encoder: its first parameters, see `audio2motion.init`; None without encoder.
    """

    signals: Mapping[str, Signals]
    audio_windows: Mapping[str, np.ndarray] = MappingProxyType({})
    encoder: dict | None = None


def build(
    config: Config,
    training_set: TrainingSet,
    prior: OpenRun | None,
    workdir: pathlib.Path | None = None,
    progress: Progress | None = None,
) -> LipSource:
    """The signals and the encoder for `config.lips`.

    Args:
      config: of the run.
      training_set: the identities.
      prior: the run that is adapted.
      workdir: of the run, whose lip_source.npz keeps fitted arrays, so that a resumed
        run trains on the same lips. None keeps nothing.
      progress: receives the stage "listening".

    Raises:
      ValueError: `config.lips` is unknown, a clip has no sound, several processes
        train together, or the kept arrays are of other clips.
    """
    if config.lips not in SOURCES:
        raise ValueError(f"lips={config.lips} is none of {', '.join(SOURCES)}")
    if config.lips == "tracked":
        if prior and prior.model.voice:
            _LOG.warning(
                "the prior's lips come from an audio encoder, and here from tracks; "
                "lips=encoder continues to train it"
            )
        return LipSource(training_set.signals)
    if jax.process_count() > 1:
        # Fits of several machines would differ by rounding.
        raise ValueError(
            f"lips={config.lips} trains in one process, not in {jax.process_count()}; "
            "use lips=tracked there"
        )
    clips = [_clip(training_set, folder) for folder in training_set.folders]
    known = (
        clip_records.load_all(prior.workdir, besides=training_set.names)
        if prior
        else []
    )
    others = [spoken_clip.of_record(one) for one in known]
    fitted, hears = training_set.fitted, config.voice.hears
    if config.lips == "audio":
        limits = {clip.name: lip_limits.of_clip(fitted, clip) for clip in clips}

        def predict() -> dict:
            start = clip_fitting.start_for(
                voices.usable_features(hears), clips, fitted.lip_basis
            )
            return cross_fit.predict_lips(clips, others, limits, start, progress)

        lip = _kept(workdir, training_set.folders, predict)
        return LipSource(
            {n: one._replace(lip=lip[n]) for n, one in training_set.signals.items()}
        )
    start = clip_fitting.start_for(hears, clips, fitted.lip_basis)
    windows = {clip.name: spoken_clip.windows(start.spec, clip) for clip in clips}
    if prior and prior.model.voice == start.spec:
        return LipSource(training_set.signals, windows, prior.shared["voice"])

    def fit() -> dict:
        rows = clip_fitting.read_rows(start.spec, [*clips, *others], progress)
        return clip_fitting.fit(start, clips, others, rows).params

    return LipSource(
        training_set.signals, windows, _kept(workdir, training_set.folders, fit)
    )


def _kept(
    workdir: pathlib.Path | None,
    folders: list[IdentityFolder],
    make: Callable[[], dict],
) -> dict:
    """A tree of arrays that is computed once for a run and its clips."""
    path = workdir / "lip_source.npz" if workdir else None
    if path and path.is_file():
        found = npz_file.read(path)
        _refuse_other_clips(path, found.pop(_CLIPS, None), folders)
        return flax.traverse_util.unflatten_dict(found, sep="/")
    _LOG.info("fitting Audio2Motion to the lips that the avatars are trained on")
    made = make()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: Any = flax.traverse_util.flatten_dict(made, sep="/")
        arrays[_CLIPS] = np.array(json.dumps(same_clips.digests(folders)))
        with files.replacing(path) as temporary:
            np.savez(temporary, **arrays)
    return made


def _refuse_other_clips(
    path: pathlib.Path, stored: np.ndarray | None, folders: list[IdentityFolder]
) -> None:
    """Refuses arrays of other clips; `stored` is None in files without digests."""
    if stored is None:
        return
    before = json.loads(str(stored))
    names = {folder.name for folder in folders}
    other = {*same_clips.changed(folders, before, hears=True), *(names ^ set(before))}
    if other:
        raise ValueError(
            f"{path} holds what was learned from other clips of "
            f"{', '.join(sorted(other))} than data.root holds; restore these folders, "
            "or give another workdir"
        )


def _clip(training_set: TrainingSet, folder: IdentityFolder) -> spoken_clip.SpokenClip:
    name = folder.name
    lip, frames = training_set.signals[name].lip, training_set.train_frames[name]
    # No test frames, since nothing is measured here.
    return spoken_clip.SpokenClip(
        name, folder.audio_path, folder.path, lip, frames, frames[:0]
    )
