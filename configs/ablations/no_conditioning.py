"""The decoder does not see the lip and eye signals: deformation explains all."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.condition_decoder = False
    return c
