"""The Audio2Motion model of a trained run, which lets speech drive its identities."""

import logging
import pathlib

from lokitalk_jax.avatar import shipped_priors
from lokitalk_jax.avatar.run import OpenRun
from lokitalk_jax.data import clip_records
from lokitalk_jax.progress import Progress
from lokitalk_jax.speech import clip_fitting, spoken_clip, voice
from lokitalk_jax.structs import Config
from lokitalk_jax.training import speech_corpus

_LOG = logging.getLogger(__name__)


def fit_voice(
    config: Config,
    workdir: pathlib.Path,
    progress: Progress | None = None,
) -> None:
    """Fits Audio2Motion to the clips of a run and of its prior, and keeps it.

    All processes call it, as reading a run waits for all of them; the first one writes.

    Args:
      config: its fields `voice` and `prior` (which may have moved) are used.
      workdir: of a trained run.
      progress: receives the stages "speech corpus" and "listening".

    Raises:
      ValueError: there is no such run, or its clips have no sound.
    """
    run = OpenRun(workdir)
    known = []
    if path := config.prior or run.config.prior:
        prior = shipped_priors.find(path)
        known = clip_records.load_all(prior, besides=run.identities)
    others = [spoken_clip.of_record(one) for one in known]
    if config.voice.corpus:
        corpus = config.voice.corpus
        others += speech_corpus.read(corpus, run.lip_basis, progress=progress)[0]
    clip_fitting.fit_run(
        workdir, _clips(run), others, run.lip_basis, config.voice.hears, progress
    )


def keep_encoder(workdir: pathlib.Path) -> None:
    """Keeps the audio encoder that was trained with a run as its Audio2Motion model.

    Raises:
      ValueError: the run was trained without one.
    """
    run = OpenRun(workdir)
    if run.model.voice is None:
        raise ValueError(
            f"the run in {workdir} was trained without audio encoder; train it with "
            "lips=encoder"
        )
    encoder = voice.Voice(run.model.voice, run.shared["voice"], run.lip_basis)
    clip_fitting.save_with_report(workdir, encoder, _clips(run))


def finish(
    config: Config,
    workdir: pathlib.Path,
    progress: Progress | None = None,
) -> None:
    """Gives a trained run its Audio2Motion model, or logs why it has the package's."""
    try:
        if config.lips == "encoder":
            keep_encoder(workdir)
        elif config.voice.fit and not voice.exists(workdir):
            fit_voice(config, workdir, progress)
    except ValueError as error:
        _LOG.warning("speech drives this run by the voice of the package: %s", error)


def _clips(run: OpenRun) -> list[spoken_clip.SpokenClip]:
    return [spoken_clip.of_record(run.record(name)) for name in run.identities]
