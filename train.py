"""Trains a portrait, or a prior over many identities.

    python train.py --config=configs/multi_id.py --workdir=runs/prior \
        --config.data.root=data

Every field of the config is a flag (`--config.train.steps=5000`); the same command
run again resumes.
"""

import logging
import os
import pathlib
import sys

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from lokitalk_jax import process

_LOG = logging.getLogger("lokitalk_jax.train")
_CONFIG = config_flags.DEFINE_config_file("config", None, "File of the run's config.")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; runs/<config name> where not given."
)
flags.mark_flag_as_required("config")


def _default_workdir() -> str:
    path = config_flags.get_config_filename(flags.FLAGS["config"])
    return os.path.join("runs", pathlib.Path(path.split(":")[0]).stem)


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags; a flag of a field that no config has ends in one line."""
    try:
        return app.parse_flags_with_usage(argv)
    except OSError as error:  # overrides of a file that could not be loaded
        sys.exit(f"train.py: {error}")
    except (AttributeError, KeyError) as error:
        while isinstance(error.args[0], Exception):
            error = error.args[0]
        named = error.args[0].replace("\n", "; ")
        sys.exit(f"train.py: the config has no field {named} (see configs/base.py)")


def main(_) -> None:
    """Reads the flags and trains."""
    from lokitalk_jax.avatar.run import Run
    from lokitalk_jax.progress import Bar
    from lokitalk_jax.training import adapting, trainer, voice_fitting

    # Orbax tells every file that it writes, and warns of runs that are only read.
    absl_logging.set_verbosity(absl_logging.ERROR)
    workdir = pathlib.Path(_WORKDIR.value or _default_workdir())
    config = _CONFIG.value
    try:
        # Of a file that could not be loaded, this first look at the config tells.
        _LOG.info("run %s, preset %s", workdir, config.preset)
        if config.task == "voice":
            voice_fitting.fit_voice(config, workdir)
            return
        if config.prior:
            given = config_flags.get_override_values(flags.FLAGS["config"])
            adapting.refuse_inherited(given)
        with Bar() as bar:
            step = trainer.train(config, workdir, bar)
        names = Run(workdir).identities
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"train.py: {error}")
    command = f"python render.py --workdir={workdir}"
    if len(names) > 1:
        command += f" --identity={names[0]}"
    done = f"{step} steps done"
    if step < config.train.steps:
        done += f" of {config.train.steps}, the same command goes on"
    _LOG.info("%s; render with: %s", done, command)


if __name__ == "__main__":
    # Before the flags: configs take their sizes from the devices that JAX finds, and a
    # cluster must be joined before any device is used.
    process.start()
    app.run(main, flags_parser=_parse)
