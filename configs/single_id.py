"""One identity, from scratch.

    lokitalk train --config=single_id --workdir=runs/me \
        --config.data.root=data/me

Preset draft (64 px, 1,500 steps): 1.6 minutes of one Xeon core at 2.5 GHz; held-out
frames of three real speakers have 29.0 to 36.7 dB PSNR and LPIPS 0.002 to 0.012
(results/quality.md). Preset full on a CPU (512 px, 1,800 steps): 10 to 12 CPU minutes
and 3.9 GB; 29.0 and 30.6 dB, LPIPS 0.067 and 0.063 for two speakers, one seed
(results/real_size.md). Preset standard
(256 px), and any on a GPU: not timed or scored yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    # With one identity the shared grid is its own; an offset would learn the same.
    c.model.identity_offset = False
    return c
