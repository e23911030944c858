"""Nothing ties gates to the regions of the image."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.loss.attention = 0.0
    return c
