"""One person, from scratch.

python train.py --config=configs/single_id.py --config.data.root=data/me
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    # With one person the common grid is theirs; a second one would learn the same.
    c.model.identity_offset = False
    return c
