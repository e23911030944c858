"""Many people at once: what faces have in common, and what is each one's own.

    python train.py --config=configs/multi_id.py --config.data.root=data

With no `data.root` it builds the demo cast and trains on it.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    c.model.encoder = True
    c.model.own_dropout = 0.1
    if c.preset == "cpu":
        # All identities take part in every step, so each can do with fewer frames.
        c.data.frames_per_step = 2
        c.train.steps = 2_000
    return c
