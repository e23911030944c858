"""No canonical offset: one canonical grid for all identities.

    lokitalk train --config=ablations/no_offset:draft --workdir=runs/no_offset

Costs as much as `multi_id`; PSNR of held-out frames changes by
-5.10 ± 1.06 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.identity_offset = False
    return c
