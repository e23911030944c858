"""Both stages of deformation see the same points."""

from configs import multi_id


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = multi_id.get_config(preset)
    c.model.face_after_body = False
    return c
