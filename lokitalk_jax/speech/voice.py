"""The voice of a run: its trained Audio2Motion, and the file that keeps it.

<run>/voice.npz    parameters and sizes of the network, and its held-out correlations
"""

import json
import os
import pathlib
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np

from lokitalk_jax import files
from lokitalk_jax.data import npz_file
from lokitalk_jax.speech import audio2motion, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip

_FILE = "voice.npz"


class Voice(NamedTuple):
    """A trained Audio2Motion.

    Attributes:
      spec: sizes of the network.
      params: of the network.
      held_out_correlation: by identity, see `held_out_correlation`.
    """

    spec: audio2motion.Spec
    params: dict
    held_out_correlation: dict[str, float] = {}


_apply = jax.jit(audio2motion.apply, static_argnums=0)


def predict(voice: Voice, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance [F, D_lip] of lip coefficients; see `audio2motion.apply`."""
    return jax.device_get(_apply(voice.spec, voice.params, windows))


def held_out_correlation(voice: Voice, clip: SpokenClip) -> float:
    """Correlation of predicted and tracked lips on the held-out frames of a clip.

    The mean over coefficients, weighted by their spread.

    Raises:
      ValueError: see `spoken_clip.rows`.
    """
    mean, _ = predict(voice, spoken_clip.windows(voice.spec, clip))
    true, predicted = clip.lip[clip.test_frames], mean[clip.test_frames]
    true, predicted = true - true.mean(0), predicted - predicted.mean(0)
    spread = np.sqrt((true**2).mean(0) * (predicted**2).mean(0))
    return float((true * predicted).mean(0).sum() / max(spread.sum(), 1e-9))


def exists(workdir: str | os.PathLike) -> bool:
    """Whether a run has a voice."""
    return pathlib.Path(workdir, _FILE).is_file()


def save(workdir: str | os.PathLike, voice: Voice) -> None:
    """Writes a voice into a run; of several processes only the first does."""
    if jax.process_index():
        return
    arrays: dict[str, Any] = dict(
        flax.traverse_util.flatten_dict(voice.params, sep="/")
    )
    meta = {
        "spec": voice.spec._asdict(),
        "held_out_correlation": voice.held_out_correlation,
    }
    arrays["meta"] = np.array(json.dumps(meta))
    with files.replacing(pathlib.Path(workdir, _FILE)) as temporary:
        np.savez(temporary, **arrays)


def load(workdir: str | os.PathLike) -> Voice:
    """Reads the voice of a run.

    Raises:
      ValueError: the run has none, or one that another version wrote.
    """
    path = pathlib.Path(workdir, _FILE)
    if not path.is_file():
        raise ValueError(_missing(path.parent))
    flat = npz_file.read(path)
    try:
        meta = json.loads(str(flat.pop("meta")))
        params = flax.traverse_util.unflatten_dict(flat, sep="/")
        spec = audio2motion.Spec(**meta["spec"])
        voice = Voice(spec, params, meta["held_out_correlation"])
        fits = _fits(voice)
    except (AttributeError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"{path} was written by another version of this program; train the voice "
            f"again with config=audio2motion, workdir={workdir}"
        )
    return voice


def _fits(voice: Voice) -> bool:
    """Whether the parameters of a voice have the structure of its network."""
    wanted = jax.eval_shape(lambda: audio2motion.init(voice.spec, jax.random.key(0)))
    if jax.tree.structure(voice.params) != jax.tree.structure(wanted):
        return False
    pairs = zip(jax.tree.leaves(voice.params), jax.tree.leaves(wanted), strict=True)
    return all(
        one.shape == other.shape
        and np.issubdtype(one.dtype, np.floating)
        and bool(np.isfinite(one).all())
        for one, other in pairs
    )


def _missing(workdir: pathlib.Path) -> str:
    if list(workdir.glob("identities/*/audio.wav")):
        remedy = (
            "it is trained when the run ends; to train it now, use "
            f"config=audio2motion, workdir={workdir}; if that finds too little speech, "
            "adapt a prior (config=adapt)"
        )
    else:
        remedy = "train on clips with sound, or adapt a prior that has a voice"
    return f"{workdir} has no voice to drive it from sound: {remedy}"
