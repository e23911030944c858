"""No canonical offset: one canonical grid for all identities."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.identity_offset = False
    return c
