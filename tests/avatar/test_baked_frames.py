"""Frames from baked fields: like those of networks, at every size, by one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_model

from lokitalk_jax.avatar import baked_frames, visibility
from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.model import architecture, canonical, identity
from lokitalk_jax.structs import AvatarParams, Camera

CONFIG = tiny_model.config()
MODEL = architecture.from_config(CONFIG)
CAMERA = Camera(40, 36, np.float32([50, 18, 20]))
POSE = jnp.eye(4).at[2, 3].set(0.8)
PLATE = np.random.default_rng(0).uniform(size=(40, 36, 3)).astype(np.float32)
SIGNALS = jax.tree.map(lambda x: x[0, 0], tiny_model.batch(CONFIG, 1).signals)


@pytest.fixture(scope="module")
def renderer():
    """Of somebody who is opaque in some places and nothing in others, and moves."""
    state = tiny_model.random_state(CONFIG, 1, seed=5)
    shared = state.params["shared"]
    layers = shared["static"]["params"]
    out = layers["density_out"]
    contrast = out | {"kernel": out["kernel"].at[:, 0].multiply(80)}
    static = {"params": layers | {"density_out": contrast}}
    shared = shared | {"static": canonical.thinned(static, 25.0)}
    residual = jax.tree.map(lambda x: x[0], state.params["identity"])
    person = identity.combine(shared["base"], residual)
    small = jax.tree.map(lambda x: 0.1 * x, person["last_layers"])
    params = AvatarParams(shared, person | {"last_layers": small}, state.density[0])
    return FrameRenderer(MODEL, params, CAMERA)


@pytest.fixture(scope="module")
def dense(renderer):
    """The same renderer, exact and with many samples."""
    many = MODEL._replace(sampling=MODEL.sampling._replace(samples=48))
    return FrameRenderer(many, renderer._params, CAMERA, exact=True)


@pytest.mark.parametrize("torso", [True, False])
def test_frames_are_as_close_to_many_samples_as_exact_ones(renderer, dense, torso):
    true, exact, found = (
        jax.device_get(one(POSE, SIGNALS, PLATE, torso=torso))
        for one in (dense, renderer.exact(), renderer)
    )
    assert 0.1 < np.mean(true.alpha > 0.5) < 0.9
    for name in "rgb", "alpha", "depth", "regions":
        theirs, ours = (
            np.abs(getattr(one, name) - getattr(true, name)).mean()
            for one in (exact, found)
        )
        assert ours < 1.2 * theirs + 1e-3, name


def test_an_empty_pixel_shows_the_plate_and_the_end_of_its_ray(renderer, dense):
    found = renderer(POSE, SIGNALS, PLATE)
    true = jax.device_get(dense(POSE, SIGNALS, PLATE))
    empty = (found.alpha == 0) & (true.alpha == 0)
    assert 0.1 < empty.mean() < 0.9
    np.testing.assert_array_equal(found.rgb[empty], PLATE[empty])
    np.testing.assert_allclose(found.depth[empty], true.depth[empty], rtol=0.05)


def test_one_program_serves_images_of_every_size(renderer):
    renderer(POSE, SIGNALS, PLATE)
    programs = baked_frames._render_tile, baked_frames._follow
    compiled = [program._cache_size() for program in programs]
    for height, width in (64, 64), (90, 70), (20, 130):
        camera = Camera(height, width, np.float32([60, width / 2, height / 2]))
        found = renderer.at(camera)(POSE, SIGNALS, np.zeros((height, width, 3)))
        assert found.rgb.shape == (height, width, 3)
    assert [program._cache_size() for program in programs] == compiled


def test_the_same_person_is_seen_at_another_size(renderer):
    large = renderer.at(CAMERA.resized(80))(POSE, SIGNALS, np.zeros((80, 72, 3)))
    small = renderer(POSE, SIGNALS, np.zeros((40, 36, 3)))
    shrunk = large.rgb.reshape(40, 2, 36, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small.rgb).mean() < 0.03


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_pixels_of_every_cell_with_a_hit_are_rendered_once(stride):
    height, width = 20, 26
    seen = np.zeros((-(-height // stride) + 1, -(-width // stride) + 1), bool)
    seen[1, 1] = True
    cells = visibility.any_corner(seen)
    numbers = baked_frames._pixels_of(cells, stride, height, width)
    y, x = np.divmod(np.arange(height * width), width)
    near = (np.abs(y - stride) < stride) & (np.abs(x - stride) < stride)
    assert len(np.unique(numbers)) == len(numbers)
    assert set(np.flatnonzero(near)) <= set(numbers.tolist())
    assert (y[numbers] < 2 * stride).all() and (x[numbers] < 2 * stride).all()
    assert not len(baked_frames._pixels_of(0 * cells, stride, height, width))


def test_away_from_lips_and_eyes_their_fields_change_nothing(renderer, monkeypatch):
    read, tile = [], baked_frames._render_tile
    monkeypatch.setattr(
        baked_frames,
        "_render_tile",
        lambda *args: read.append(args[3].face is not None) or tile(*args),
    )
    found = renderer(POSE, SIGNALS, PLATE)
    assert len(set(read)) == 2
    read.clear()
    monkeypatch.setattr(baked_frames, "_FACE", -1.0)
    everywhere = renderer(POSE, SIGNALS, PLATE)
    assert all(read)
    assert np.abs(found.rgb - everywhere.rgb).mean() < 1e-4
    assert np.abs(found.rgb - everywhere.rgb).max() < 0.01
    assert np.abs(found.regions - everywhere.regions).max() < 0.02


def test_fields_are_baked_once_for_all_sizes(renderer, monkeypatch):
    baked_again = []
    monkeypatch.setattr(baked_frames.baked, "bake", baked_again.append)
    renderer.at(CAMERA.resized(20))(POSE, SIGNALS, np.zeros((20, 18, 3)))
    assert renderer.exact()._baked is None and not baked_again
    assert visibility.HIT < 1 / 255
