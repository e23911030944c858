"""Sound to lips, fitted anew for a run whose portraits are there.

    python train.py --config=configs/audio2motion.py --workdir=runs/prior

`train.py` does this by itself when portraits are done; here it can be done with other
numbers (`--config.voice.steps`). It learns from all people of the run and its prior.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    c.task = "voice"
    return c
