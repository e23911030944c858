"""One canonical grid for all, without offsets of their own."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.identity_offset = False
    return c
