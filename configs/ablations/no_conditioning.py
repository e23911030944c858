"""The decoder does not see the lip and eye signals: deformation explains all."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.condition_decoder = False
    return c
