"""No identity encoder; new identities start at the mean (--config.start=mean)."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.encoder = False
    c.model.residual_dropout = 0.0
    return c
