"""Training a run, and scoring it."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections

from lokitalk_jax import config as configs
from lokitalk_jax import process
from lokitalk_jax.api.avatar import Avatar
from lokitalk_jax.api.run import Run
from lokitalk_jax.evaluation import score
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.evaluation.score import EvaluateOptions
from lokitalk_jax.progress import Progress
from lokitalk_jax.training import adapting, trainer, voice_fitting


def train(
    config: str | os.PathLike | ml_collections.ConfigDict,
    data: str | os.PathLike | None = None,
    workdir: str | os.PathLike | None = None,
    *,
    prior: str | os.PathLike | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Trains a run, or resumes it.

    Args:
      config: "single_id", "multi_id" or "adapt", also with a preset, as in
        "single_id:full"; the path of a config file; or a config.
      data: an identity folder, or a folder of them; by default the config's, which is
        the demo cast, made in `data/demo`.
      workdir: folder of the run, by default `runs/<name of the config>`. A run that is
        there is resumed.
      prior: the run that "adapt" starts from, or "base", that of the package, which it
        takes by default.
      overrides: fields of the config by their dotted names, such as
        {"train.steps": 500}; `lokitalk_jax.base_config` lists them all.
      progress: see `lokitalk_jax.progress`.

    Returns:
      the run. It has fewer steps than its config where the time was up; the same call
      then resumes it.

    Raises:
      ValueError: there is no such config or field, config, data, prior and the run that
        is there do not fit together, or another process trains that run.
      KeyboardInterrupt: Ctrl-C arrived; the run is saved.
      SystemExit: SIGTERM arrived; the run is saved. The status is 75.
      FloatingPointError: a loss was not finite.
      OSError: a file could not be written.
    """
    process.tune()
    fields = dict(overrides or {})
    if data is not None:
        fields["data.root"] = os.fspath(data)
    if prior is not None:
        fields["prior"] = os.fspath(prior)
    loaded = _loaded(config, fields)
    folder = pathlib.Path(workdir) if workdir is not None else default_workdir(config)
    if loaded.task == "voice":
        voice_fitting.fit_voice(loaded, folder, progress)
        return Run(folder)
    if loaded.prior:
        adapting.refuse_inherited(fields)
    trainer.train(loaded, folder, progress)
    return Run(folder)


def _loaded(config, fields: Mapping[str, Any]) -> ml_collections.ConfigDict:
    if not isinstance(config, ml_collections.ConfigDict):
        return configs.load(config, fields)
    loaded = config.copy_and_resolve_references()
    for field, value in fields.items():
        configs.set_field(loaded, field, value)
    return loaded


def default_workdir(
    config: str | os.PathLike | ml_collections.ConfigDict,
) -> pathlib.Path:
    """Default folder of a run.

    Raises:
      ValueError: the config has no name.
    """
    if isinstance(config, ml_collections.ConfigDict):
        raise ValueError(
            "workdir=None: a ConfigDict has no name, which the folder would be called "
            "after; give workdir=FOLDER"
        )
    return pathlib.Path("runs", pathlib.Path(configs.split_preset(config)[0]).stem)


def evaluate(
    evaluated: Run | Avatar | str | os.PathLike,
    out: str | os.PathLike | None = None,
    *,
    data: str | os.PathLike | None = None,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
) -> Scores:
    """Scores held-out frames of all identities of a run, or of one avatar.

    Args:
      evaluated: the run, its folder, or the avatar.
      out: folder of the results, by default a folder of the run that is named after
        the options.
      data: folder of the identity folders, where they are not where they were when the
        run was trained.
      options: of the scoring.
      progress: see `lokitalk_jax.progress`.

    Raises:
      ValueError: the true frames are gone or others, or none was held out.
      OSError: the results could not be written.
    """
    if isinstance(evaluated, str | os.PathLike):
        evaluated = Run(evaluated)
    if isinstance(evaluated, Run):
        return score.evaluate(evaluated.opened, out, None, data, options, progress)
    run, name, clip = evaluated.run, evaluated.name, evaluated.unseen
    if clip is None:
        return score.evaluate(run, out, [name], data, options, progress)
    if out is None:
        out = score.default_folder(run, options, [f"{name}_zero_shot"])
    avatars = {name: (evaluated.rendered, clip)}
    return score.evaluate_avatars(run, avatars, out, options, progress)
