"""One ungated deformation field instead of a field for each region.

    lokitalk train --config=ablations/holistic:draft --workdir=runs/holistic

Costs as much as `multi_id`; PSNR of held-out frames changes by
-4.66 ± 0.17 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.fields = "holistic"
    c.loss.attention = 0.0  # there is no gate to tie to a mask
    return c
