"""Codes only: the last layers of the fields are common to all."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.own_last_layers = False
    return c
