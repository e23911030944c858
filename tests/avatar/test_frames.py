"""Whole frames: background is skipped, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lokitalk_jax.avatar import frames, visibility
from lokitalk_jax.model import architecture, canonical, identity, masked, nerf, rays
from lokitalk_jax.structs import AvatarParams, Camera
from tests import tiny_model


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_map_where_calls_for_every_kept_entry_once(share):
    keep = np.random.default_rng(0).uniform(size=37) < share
    others = {"a": jnp.full(37, -1.0), "b": jnp.zeros((37, 2))}

    def function(entries):
        return {"a": entries.astype(jnp.float32), "b": jnp.ones((len(entries), 2))}

    found = jax.jit(lambda k: masked.map_where(function, k, 5, others))(keep)
    np.testing.assert_array_equal(found["a"], np.where(keep, np.arange(37), -1))
    np.testing.assert_array_equal(found["b"], np.tile(keep[:, None], 2))


@pytest.mark.parametrize(("height", "width"), [(9, 13), (16, 16), (1, 5), (4, 7)])
def test_one_coarse_hit_keeps_every_pixel_around_it(height, width):
    coarse = visibility.coarse_pixels(height, width)
    np.testing.assert_allclose(coarse[0, 0], 0.5)
    np.testing.assert_allclose(coarse[-1, -1], (width - 0.5, height - 0.5))
    pixels = visibility.pixel_centres(height, width).reshape(height, width, 2)
    pitch = np.array(
        [
            (n - 1) / (count - 1)
            for n, count in zip((width, height), coarse.shape[1::-1], strict=True)
        ]
    )
    for row, column in np.ndindex(coarse.shape[:2]):
        seen = np.zeros(coarse.shape[:2], bool)
        seen[row, column] = True
        near = np.asarray(visibility.near(jnp.asarray(seen), height, width))
        away = np.abs(pixels - coarse[row, column])
        inside = (away < pitch).all(-1) | (away == 0).all(-1)
        assert near[inside].all()
        assert not near[(away > pitch + 1).any(-1)].any()
    assert not visibility.near(jnp.zeros(coarse.shape[:2], bool), height, width).any()


def test_a_frame_is_its_rays_rendered_and_the_plate_elsewhere():
    c = tiny_model.config()
    model, state = architecture.from_config(c), tiny_model.random_state(c, 1, seed=5)
    shared = state.params["shared"]
    # Opaque in some places and nothing in others.
    layers = shared["static"]["params"]
    out = layers["density_out"]
    contrast = out | {"kernel": out["kernel"].at[:, 0].multiply(80)}
    static = {"params": layers | {"density_out": contrast}}
    shared = shared | {"static": canonical.thinned(static, 25.0)}
    residual = jax.tree.map(lambda x: x[0], state.params["identity"])
    combined = identity.combine(shared["base"], residual)
    batch = jax.tree.map(lambda x: x[0, 0], tiny_model.batch(c, 1).signals)
    pose = jnp.eye(4).at[2, 3].set(0.8)
    height, width = 40, 36
    intrinsics = np.float32([50, width / 2, height / 2])
    plate = np.random.default_rng(0).uniform(size=(height, width, 3)).astype("f4")

    params = AvatarParams(shared, combined, state.density[0])
    camera = Camera(height, width, intrinsics)
    renderer = frames.FrameRenderer(model, params, camera, exact=True)
    frame = renderer(pose, batch, plate)
    whole, _ = jax.jit(nerf.render, static_argnums=0)(
        model,
        params,
        rays.generate(
            visibility.pixel_centres(height, width)[None], intrinsics, pose[None]
        ),
        jax.tree.map(lambda x: x[None], batch),
        plate.reshape(1, -1, 3),
    )
    left_out = np.asarray(frame.alpha == 0)
    assert 0.1 < left_out.mean() < 0.9
    assert np.quantile(whole.alpha, 0.9) > 0.5
    np.testing.assert_array_equal(frame.rgb[left_out], plate[left_out])
    for name in "rgb", "alpha", "regions":
        one, other = getattr(frame, name), getattr(whole, name)[0]
        error = np.abs(one - other.reshape(one.shape)).reshape(height * width, -1)
        assert np.quantile(error.max(-1), 0.99) < 1 / 255
    np.testing.assert_allclose(
        frame.depth[~left_out], whole.depth[0].reshape(height, width)[~left_out], 1e-4
    )
