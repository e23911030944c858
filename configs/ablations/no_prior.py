"""From scratch, on the schedule of `adapt`."""

from configs import adapt, single_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = single_id.get_config(preset)
    c.train.steps = adapt.get_config(preset).train.steps
    return c
