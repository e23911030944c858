"""One person, from scratch.

python train.py --config=configs/single_id.py --config.data.root=data/me
"""

from configs import base


def get_config(preset: str = ""):
    """The config; see `base.get_config`."""
    c = base.get_config(preset)
    # With one person the common grid is theirs; a second one would learn the same.
    c.model.identity_offset = False
    return c
