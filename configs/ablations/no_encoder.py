"""No identity encoder; newcomers start at the mean (--config.start=mean)."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.encoder = False
    c.model.own_dropout = 0.0
    return c
