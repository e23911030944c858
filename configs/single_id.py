r"""One identity, from scratch.

    lokitalk train --config=single_id --workdir=runs/me \
        --config.data.root=data/me

Preset draft on a CPU (64 px, 1,500 steps): 2 to 3 CPU minutes; held-out frames of
three real speakers have 29.7 to 35.8 dB PSNR and LPIPS 0.002 to 0.011
(results/quality.md). Preset standard on a CPU (256 px, 2,400 steps), its default: 6 to
7 CPU minutes and 2.7 GB; 27.4 to 32.1 dB, LPIPS 0.025 to 0.094 for four speakers.
Preset full on a CPU (512 px, 3,000 steps): 8 to 9 CPU minutes of one core and 3.6 GB;
27.0 to 32.1 dB, LPIPS 0.048 to 0.114 for the same four, one seed each
(results/real_size.md).
On a GPU no preset is timed or scored yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    # With one identity the shared grid is its own; an offset would learn the same.
    c.model.identity_offset = False
    return c
