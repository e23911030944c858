"""No prior: from scratch, with the steps of `adapt`."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"single_id:{preset}")
    c.train.steps = config.load(f"adapt:{preset}").train.steps
    return c
