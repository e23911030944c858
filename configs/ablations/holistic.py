"""One ungated deformation field instead of four that belong to regions."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.fields = "holistic"
    c.loss.attention = 0.0  # there is no gate to tie to a mask
    return c
