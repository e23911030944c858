r"""No last layers for each identity: codes only.

    lokitalk train --config=ablations/no_hypernetwork:draft \
        --workdir=runs/no_hypernetwork

Costs as much as `multi_id`; PSNR of held-out frames changes by
-0.11 ± 0.13 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.identity_layers = False
    return c
