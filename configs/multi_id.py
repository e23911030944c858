r"""A prior: many identities in one run, shared parameters and a residual for each.

    lokitalk train --config=multi_id --workdir=runs/prior \
        --config.data.root=data

Without `data.root` it builds the demo cast and trains on it. Preset draft (64 px, 2,000
steps): six minutes of one Xeon core at 2.5 GHz for five real identities. Their held-out
frames had 28.9 to 38.7 dB PSNR with an earlier model and preparation
(results/quality.md). Presets standard and full (256 and 512 px): not timed or scored
yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    # The demo cast, on which priors train by default, has 128 pixels.
    c = base_config.get_config(preset or "draft")
    c.model.encoder = True
    c.model.residual_dropout = 0.1
    if c.device == "cpu":
        # All identities take part in every step, so each needs fewer frames.
        c.data.frames_per_step = 2
        c.train.steps = c.train.steps * 4 // 3
    return c
