"""Audio2Motion of a finished run, trained anew.

    lokitalk train --config=audio2motion --workdir=runs/prior

`lokitalk train` fits it at the end of every run; here other features can be tried
(`--config.voice.hears`), or a speech corpus added (`--config.voice.corpus`). It is
fitted to all identities of the run and its prior, which takes seconds; for scores see
results/audio2motion.md.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    c.task = "voice"
    return c
