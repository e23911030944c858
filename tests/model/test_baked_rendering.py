"""Rays through baked fields: the maps of the networks, and nearly their colours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.model import (
    architecture,
    baked,
    baked_rendering,
    identity,
    nerf,
    sampling,
)
from lokitalk_jax.model import rays as rays_of
from lokitalk_jax.structs import AvatarParams

CONFIG = tiny_model.config()
MODEL = architecture.from_config(CONFIG)


@pytest.fixture(scope="module")
def scene():
    """Parameters, rays, samples and signals of two frames."""
    state = tiny_model.random_state(CONFIG, 1, seed=3)
    batch = tiny_model.batch(CONFIG, 1)
    shared = state.params["shared"]
    residual = jax.tree.map(lambda x: x[0], state.params["identity"])
    person = identity.combine(shared["base"], residual)
    small = jax.tree.map(lambda x: 0.1 * x, person["last_layers"])
    params = AvatarParams(shared, person | {"last_layers": small}, state.density[0])
    pixels, pose = batch.pixels[0], batch.head_to_camera[0]
    rays = rays_of.generate(jnp.asarray(pixels), batch.intrinsics[0], pose)
    spec = MODEL.sampling
    near, far = rays_of.box_interval(rays, jnp.array(spec.low), jnp.array(spec.high))
    intervals = sampling.guided_samples(
        params.density_grid, rays, near, far, spec, None
    )
    return params, rays, intervals, jax.tree.map(lambda x: x[0], batch.signals)


@pytest.mark.parametrize("torso", [True, False])
def test_maps_are_those_of_the_networks_at_the_same_samples(scene, torso):
    params, rays, intervals, signals = scene
    fields = baked.at_frames(baked.bake(MODEL, params, 0.01), signals)
    black = jnp.zeros_like(rays.directions)
    exact, samples = nerf.render(MODEL, params, rays, signals, black, torso=torso)
    found = baked_rendering.render(
        MODEL, params, fields, rays, intervals, signals, torso
    )
    for name in exact._fields:
        one, other = getattr(found, name), getattr(exact, name)
        tolerance = 0.02 * np.abs(other).max()
        np.testing.assert_allclose(one, other, atol=tolerance, err_msg=name)
    assert np.asarray(exact.alpha).max() > 0.2
    weights, face = baked_rendering.follow(
        MODEL, params, fields, rays, intervals, signals, torso
    )
    np.testing.assert_allclose(weights, samples.weights, atol=0.02)
    gates = samples.deformed.gates[..., :2].reshape(*samples.weights.shape, 2)
    np.testing.assert_allclose(face, gates.max((-2, -1)), atol=0.02)


def test_colours_of_one_group_a_sample_are_the_networks_own(scene, monkeypatch):
    params, rays, intervals, signals = scene
    fields = baked.at_frames(baked.bake(MODEL, params, 0.004), signals)
    black = jnp.zeros_like(rays.directions)
    exact, _ = nerf.render(MODEL, params, rays, signals, black)

    def error(groups: int) -> float:
        monkeypatch.setattr(baked_rendering, "_GROUPS", groups)
        found = baked_rendering.render(MODEL, params, fields, rays, intervals, signals)
        return float(np.abs(found.rgb - exact.rgb).max())

    assert error(MODEL.sampling.samples) < 2e-3
    assert error(1) < 0.05
