"""Audio2Motion of a finished run, trained anew.

    lokitalk train --config=audio2motion --workdir=runs/prior

`lokitalk train` trains it at the end of every run; here other numbers can be tried
(`--config.voice.steps`). It learns from all identities of the run and its prior. On the
training frames of six clips it takes 15 s of one core of an AMD EPYC; lips of a speaker
that is not in training correlate at 0.45 with the true ones (results/audio2motion.md).
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    c.task = "voice"
    return c
