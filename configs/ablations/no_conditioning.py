"""The decoder does not see lip and eye signals: deformation explains everything."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.condition_decoder = False
    return c
