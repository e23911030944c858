"""Rendering identities that a prior was not trained on."""

import jax
import numpy as np

from lokitalk_jax.avatar import zero_shot
from lokitalk_jax.avatar.run import OpenRun


def test_the_encoder_distinguishes_identities_the_mean_does_not(tiny_run, strangers):
    prior = OpenRun(tiny_run.workdir)
    found = [
        zero_shot.build_avatar(prior, path)
        for path in sorted(p for p in strangers.iterdir() if p.is_dir())
    ]
    seen = [
        zero_shot.reference_batch(prior, data, avatar.record) for avatar, data in found
    ]
    predicted = [
        zero_shot.initial_residual(prior, "encoder", one)["codes"]["dynamic"]
        for one in seen
    ]
    assert np.abs(predicted[0] - predicted[1]).max() > 1e-7
    mean = [
        zero_shot.initial_residual(prior, "mean", one)["codes"]["dynamic"]
        for one in seen
    ]
    np.testing.assert_array_equal(*mean)


def test_zero_shot_renders_a_new_identity(tiny_run, strangers):
    source = sorted(p for p in strangers.iterdir() if p.is_dir())[0]
    avatar, data = zero_shot.build_avatar(OpenRun(tiny_run.workdir), source)
    record = avatar.record
    held_out = int(record.test_frames[0])
    assert held_out not in record.train_frames
    rendered = avatar.renderer(
        record.head_to_camera[held_out],
        jax.tree.map(lambda x: x[held_out], record.signals),
        data.plate / np.float32(255),
    )
    assert rendered.rgb.shape == (*data.camera.shape, 3)
    assert np.isfinite(rendered.rgb).all() and rendered.alpha.max() > 0.1
