"""New people from a prior: seconds of video, minutes of training.

    python train.py --config=configs/adapt.py --workdir=runs/me \
        --config.prior=runs/prior --config.data.root=data/me

Fields of model, grid, scene and sampling are the prior's; the size of the
images, `data.size`, is this config's.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    c.task = "adapt"
    # What the networks know is a start, and few steps are left to make it one's own: on
    # two real clips of 5 s, heads 0.1 and 0.4 dB better than with half of it.
    c.lr.network = 4e-3
    if c.preset == "cpu":
        c.train.steps = 600
    else:
        c.train.steps = 5_000
    return c
