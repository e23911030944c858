"""No cascade: both stages of deformation see the observed points."""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.face_after_body = False
    return c
