"""No cascade: both stages of deformation see the observed points.

    lokitalk train --config=ablations/no_cascade:draft --workdir=runs/no_cascade

Costs as much as `multi_id`; PSNR of held-out frames changes by
+0.02 ± 0.07 dB (results/ablations.md).
"""

from lokitalk_jax import config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = config.load(f"multi_id:{preset}")
    c.model.face_after_body = False
    return c
