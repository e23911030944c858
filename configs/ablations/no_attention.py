"""No cross-attention loss: gates are not tied to the regions of the image.

    lokitalk train --config=ablations/no_attention:draft --workdir=runs/no_attention

Costs as much as `multi_id`; PSNR of held-out frames changes by
-0.06 ± 0.02 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.loss.attention = 0.0
    return c
