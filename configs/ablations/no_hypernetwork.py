"""No last layers for each identity: codes only."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.identity_layers = False
    return c
