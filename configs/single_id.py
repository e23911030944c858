r"""One identity, from scratch.

    lokitalk train --config=single_id --workdir=runs/me \
        --config.data.root=data/me

Costs are those of one core of an AMD EPYC, scores those of held-out frames of four real
speakers, two seeds at 256 and 512 px (results/quality.md, results/real_size.md).
Preset draft on a CPU (64 px, 1,500 steps): about one CPU minute; 31.0 to 37.6 dB PSNR,
LPIPS 0.002 to 0.010.
Preset standard on a CPU (256 px, 4,800 steps), its default: 5 to 7 CPU minutes and
2.0 GB; 29.0 to 34.2 dB, LPIPS 0.013 to 0.054.
Preset full on a CPU (512 px, 7,500 steps): 20 to 23 CPU minutes and 4.2 GB; 28.6 to
34.2 dB, LPIPS 0.027 to 0.088.
On a GPU no preset is timed or scored yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    c = base_config.get_config(preset)
    # With one identity the shared grid is its own; an offset would learn the same.
    c.model.identity_offset = False
    return c
