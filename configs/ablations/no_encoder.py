"""No identity encoder; new identities start at the mean (--config.start=mean).

    lokitalk train --config=ablations/no_encoder:draft --workdir=runs/no_encoder

Costs as much as `multi_id`; PSNR of held-out frames changes by
+0.10 ± 0.17 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.encoder = False
    c.model.residual_dropout = 0.0
    return c
