r"""A new identity from a prior and seconds of video.

    lokitalk train --config=adapt --workdir=runs/me --config.data.root=data/me \
        --config.data.max_seconds=5 --config.data.choose=best

The prior is the package's, unless `prior` names a run. Fields of model, grid, scene and
sampling are the prior's; the size of the images, `data.size`, is this config's. Preset
draft (64 px, 600 steps): 25 s of one core of an AMD EPYC, without compiling. From the
best 5 s of video, held-out frames of twelve people have 25.8 to 35.4 dB PSNR; heads are
0.50 ± 0.40 dB and lips 1.22 ± 0.58 dB above as many steps from scratch
(results/base_prior.md). Preset standard (256 px) with 960 steps: one and a half
minutes; lips of twelve people are 0.9 ± 0.4 dB above as many steps from scratch, heads
are level. Preset full (512 px): not timed or scored yet.
"""

from lokitalk_jax import base_config


def get_config(preset: str = ""):
    """The config; see `base_config.get_config`."""
    # The default size of priors.
    c = base_config.get_config(preset or "draft")
    c.task = "adapt"
    c.prior = "base"  # comes with the package
    # Frames end above those of the encoder's start (results/base_prior.md).
    c.start = "mean"
    # Few steps remain to turn the prior's networks into this identity's: on two real
    # clips of 5 s, heads are 0.1 and 0.4 dB better than with half of this rate.
    c.lr.network = 4e-3
    # The prior has learned all that the coarse stage teaches.
    c.train.coarse = 0.0
    c.train.steps = c.train.steps * 2 // 5 if c.device == "cpu" else c.train.steps // 4
    return c
