r"""The decoder does not see lip and eye signals: deformation explains everything.

    lokitalk train --config=ablations/no_conditioning:draft \
        --workdir=runs/no_conditioning

Costs as much as `multi_id`; PSNR of held-out frames changes by
+0.06 ± 0.45 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.condition_decoder = False
    return c
