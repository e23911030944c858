r"""No prior: from scratch, with the steps of `adapt`.

    lokitalk train --config=ablations/no_prior:draft --workdir=runs/no_prior \
        --config.data.root=data/me

Costs as much as `adapt`; PSNR of held-out frames changes by
-0.51 ± 0.31 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"single_id:{preset}")
    c.train.steps = config.load(f"adapt:{preset}").train.steps
    return c
