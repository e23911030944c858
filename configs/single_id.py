"""One identity, from scratch.

    lokitalk train --config=single_id --workdir=runs/me \
        --config.data.root=data/me

Preset draft (64 px, 1,500 steps): 1.6 minutes of one Xeon core at 2.5 GHz; held-out
frames of three real speakers have 29.0 to 36.7 dB PSNR and LPIPS 0.002 to 0.012
(results/quality.md). Preset standard on a CPU (256 px, 1,500 steps), its default: 4.5
CPU minutes and 2.2 GB; 27.8 to 31.7 dB, LPIPS 0.030 to 0.105 for four speakers. Preset
full on a CPU (512 px, 1,800 steps): 7 to 12 CPU minutes and 3.9 GB; 27.9 and 31.3 dB,
LPIPS 0.132 and 0.058 for two speakers, one seed each (results/real_size.md). On a
GPU no preset is timed or scored yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    # With one identity the shared grid is its own; an offset would learn the same.
    c.model.identity_offset = False
    return c
