"""The voice of a run: Audio2Motion, fitted on the clips of its people and kept with it.

<run>/voice.npz    parameters and sizes of the networks, and how well they do

Lips and sound of everyone are in the run's portraits, and the lip basis is the prior's
in every run that adapts it, so a newcomer's voice learns from the prior's people too.
"""

import json
import logging
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import flax.traverse_util
import jax
import ml_collections
import numpy as np
from scipy import ndimage

from lokitalk_jax import files
from lokitalk_jax.data import audio_features
from lokitalk_jax.speech import audio2motion, augmentation, sound_features, spoken_clip
from lokitalk_jax.speech.spoken_clip import SpokenClip

_LOG = logging.getLogger(__name__)

# How much likelier speech of one's own is learned from than that of one who helps. Lips
# of blocks left out of clips a, b and c correlate at 0.62, 0.49 and 0.48 with 1, at
# 0.66, 0.52 and 0.47 with 3, at 0.67, 0.53 and 0.45 with 5; by their own speech alone
# at 0.67, 0.52 and 0.23 (results/audio2motion.md).
_OWN = 3

# Correlation below which lips from sound have next to nothing of the true motion.
_POOR = 0.2

# Frames in a row that may repeat, or have no face, within a stretch of speech.
_BRIDGED = 2

# Changed versions of a clip's sound that the networks learn from.
_VERSIONS = 4


class Voice(NamedTuple):
    """From sound to lips.

    Attributes:
      spec: sizes of the networks.
      params: of the networks.
      trust: by name, the correlation of the predicted with the tracked coefficients on
        the held-out end of each clip, mean over coefficients weighted by their spread.
    """

    spec: audio2motion.Spec
    params: dict
    trust: dict[str, float]


def spec_for(hears: str, clips: Sequence[SpokenClip]) -> audio2motion.Spec:
    """Sizes of a voice that learns from clips; for `hears` see `audio2motion.Spec`.

    Raises:
      ValueError: it is neither something that is heard in sound nor the name of a file
        of features that the first of the clips with sound has.
    """
    lip_dim = clips[0].lip.shape[-1]
    if hears in sound_features.WIDTHS:
        inputs = sound_features.WIDTHS[hears]
    elif hears.endswith(".npy"):
        first = spoken_clip.with_sound(clips)[0]
        inputs = audio_features.read(first.source / hears, len(first.lip)).shape[1] + 1
    else:
        raise ValueError(
            f"voice.hears is {hears!r}; it is {', '.join(sound_features.WIDTHS)}, or "
            "the name of a .npy file of features in each identity folder"
        )
    return audio2motion.Spec(lip_dim=lip_dim, hears=hears, inputs=inputs)


def training_from(config: ml_collections.ConfigDict) -> audio2motion.Training:
    """How a voice is trained, from section `voice` of `base_config.py`."""
    return audio2motion.Training(**{k: v for k, v in config.items() if k != "hears"})


def speaker(
    spec: audio2motion.Spec, clip: SpokenClip, seed: int
) -> audio2motion.Speaker:
    """What the networks learn from: the training frames of a clip.

    Args:
      spec: sizes.
      clip: with its sound.
      seed: of the changed versions.
    """
    heard = spoken_clip.samples(clip)
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
    looked_at = [audio2motion.windows(spec, spoken_clip.rows(spec, clip), times)]
    # Features that another program made cannot be made again of changed sound.
    for version in range(_VERSIONS if spec.streams else 0):
        rng = np.random.default_rng((seed, version))
        changed, speed = augmentation.change(rng, heard)
        found = sound_features.features(changed, spec.hears)
        looked_at.append(audio2motion.windows(spec, found, times / speed))
    return audio2motion.Speaker(clip.name, looked_at, *_bridged(clip))


def _bridged(clip: SpokenClip) -> tuple[np.ndarray, np.ndarray]:
    """Lips [F, D_lip] and bool [F], where they are known on training frames.

    Speech is learned from stretches without a gap, and a clip that was converted to 25
    frames a second may repeat every fifth: lips there lie between those beside.
    """
    seen = np.zeros(len(clip.lip), bool)
    seen[clip.train_frames] = True
    known = seen | ndimage.binary_closing(seen, np.ones(_BRIDGED + 1))
    frames = np.arange(len(clip.lip))
    between = [
        np.interp(frames, clip.train_frames, of_one[clip.train_frames])
        for of_one in clip.lip.T
    ]
    return np.where(seen[:, None], clip.lip, np.stack(between, -1)), known


def predict(voice: Voice, clip: SpokenClip) -> tuple[np.ndarray, ...]:
    """Mean and variance of the lip coefficients [F, D_lip] by a clip's sound."""
    times = np.arange(len(clip.lip)) * audio2motion.ROWS_PER_FRAME
    looked_at = audio2motion.windows(
        voice.spec, spoken_clip.rows(voice.spec, clip), times
    )
    return jax.device_get(_apply(voice.spec, voice.params, looked_at))


_apply = jax.jit(audio2motion.apply, static_argnums=0)


def fit(
    clips: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    spec: audio2motion.Spec,
    training: audio2motion.Training,
    seed: int,
) -> Voice:
    """Fits a voice on the training frames of clips, in one lip basis.

    Args:
      clips: of those who will be driven.
      others: who help, such as the people of a prior.
      spec: sizes.
      training: how.
      seed: of parameters, order and changed sound.

    Raises:
      ValueError: no clip has sound, or enough frames.
    """
    spoken_clip.with_sound([*clips, *others])  # refuses where none has
    own = [speaker(spec, one, seed) for one in clips if one.audio]
    more = [speaker(spec, one, seed) for one in helpers(spec, others)]
    params = audio2motion.fit(spec, training, weighted(own, more), seed)
    return Voice(spec, params, {})


def helpers(spec: audio2motion.Spec, others: Sequence[SpokenClip]) -> list[SpokenClip]:
    """Those of others who have what a voice hears; the log names the rest."""
    found = []
    for one in others:
        if one.audio is None or not (
            spec.streams or (one.source / spec.hears).is_file()
        ):
            _LOG.info("voice: leaving out %s, who has no %s", one.name, spec.hears)
        else:
            found.append(one)
    return found


def weighted(
    own: list[audio2motion.Speaker], others: list[audio2motion.Speaker]
) -> list[audio2motion.Speaker]:
    """Whom a voice learns from: own people stand there often."""
    return own * _OWN + others if others else own


def fit_run(
    workdir: pathlib.Path,
    clips: Sequence[SpokenClip],
    others: Sequence[SpokenClip],
    config: ml_collections.ConfigDict,
    seed: int,
) -> Voice:
    """Fits the voice of a run, writes it and says how far it can be trusted.

    Args:
      workdir: of the run.
      clips: of its people.
      others: who help, all in the same lip basis.
      config: section `voice` of `base_config.py`.
      seed: of the run.

    Raises:
      ValueError: see `fit`.
    """
    _LOG.info("fitting lips to sound, of %d people", len(clips) + len(others))
    spec = spec_for(config.hears, [*clips, *others])
    made = fit(clips, others, spec, training_from(config), seed)
    voice = keep(workdir, made, [*clips, *helpers(spec, others)])
    if len(clips) + len(others) == 1:
        _LOG.info(
            "voice: learned from one person, so other voices may drive the lips badly; "
            "a prior of several people helps"
        )
    return voice


def keep(workdir: pathlib.Path, voice: Voice, clips: Sequence[SpokenClip]) -> Voice:
    """Writes a voice into a run, with how well it does on clips, and says so."""
    scored = [one for one in clips if one.audio and len(one.test_frames) > 2]
    voice = voice._replace(trust={one.name: trust(voice, one) for one in scored})
    save(workdir, voice)
    for name, found in voice.trust.items():
        _LOG.info(
            "voice: correlation %.2f with held-out lips of %s, learned from the others",
            found,
            name,
        )
        if found < _POOR:
            _LOG.warning(
                "lips of %s will hardly follow speech: too little of it was heard, or "
                "its sound and picture do not belong together; use a longer clip",
                name,
            )
    return voice


def exists(workdir: pathlib.Path) -> bool:
    """Whether a run has a voice."""
    return (workdir / "voice.npz").is_file()


def trust(voice: Voice, clip: SpokenClip) -> float:
    """How well a voice does on the held-out end of a clip; see `Voice`."""
    mean, _ = predict(voice, clip)
    true, told = clip.lip[clip.test_frames], mean[clip.test_frames]
    true, told = true - true.mean(0), told - told.mean(0)
    spread = np.sqrt((true**2).mean(0) * (told**2).mean(0))
    return float((true * told).mean(0).sum() / max(spread.sum(), 1e-9))


def save(workdir: pathlib.Path, voice: Voice) -> None:
    """Writes a voice into a run; one process does."""
    if jax.process_index():
        return
    flat = flax.traverse_util.flatten_dict(voice.params, sep="/")
    meta = json.dumps({"spec": voice.spec._asdict(), "trust": voice.trust})
    with files.replacing(workdir / "voice.npz") as temporary:
        np.savez(temporary, meta=np.array(meta), **flat)


def load(workdir: pathlib.Path) -> Voice:
    """The voice of a run.

    Raises:
      ValueError: the run has none, or one of another version.
    """
    path = workdir / "voice.npz"
    if not exists(workdir):
        remedy = (
            "train.py makes one when a run ends, so wait if it is at work; or "
            f"train.py --config=configs/audio2motion.py --workdir={workdir}, and "
            "where that says it cannot, adapt a prior (configs/adapt.py)"
        )
        if not list(workdir.glob("identities/*/audio.wav")):
            remedy = "train on clips with sound, or adapt a prior that has a voice"
        raise ValueError(f"{workdir} has no voice to drive it from sound: {remedy}")
    with np.load(path) as stored:
        flat = dict(stored)
    meta = json.loads(str(flat.pop("meta")))
    params = flax.traverse_util.unflatten_dict(flat, sep="/")
    spec = audio2motion.Spec(**meta["spec"])
    wanted = jax.eval_shape(lambda: audio2motion.init(spec, jax.random.key(0)))
    if jax.tree.structure(params) != jax.tree.structure(wanted):
        raise ValueError(
            f"{path} was written by another version of this program; fit the voice "
            f"anew: train.py --config=configs/audio2motion.py --workdir={workdir}"
        )
    return Voice(spec, params, meta["trust"])
