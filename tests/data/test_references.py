"""Reference frames: their alignment, and the encoder's predictions from them."""

import types

import jax
import numpy as np
import pytest
import tiny_model
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.data import references
from lokitalk_jax.model import architecture, hashgrid
from lokitalk_jax.model import encoder as encoder_module
from lokitalk_jax.structs import References

SPEC = references.ReferenceSpec(count=3, size=32, square=(-0.3, -0.2, 0.6))
CONFIG = tiny_model.config(encoder=True)


def pose(turn, place=(0.02, -0.01, 0.9)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = place
    return matrix


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.1, -0.3, 0.2)])
def test_a_pixel_of_a_reference_is_a_point_of_the_head(turn):
    intrinsics, head_to_camera = np.array([150.0, 31, 33]), pose(turn)
    u, v = 12.5, 20.5
    pixel = references.homography(intrinsics, head_to_camera, SPEC) @ [u, v, 1]
    point = [-0.3 + u * 0.6 / 32, -0.2 + v * 0.6 / 32, references.PLANE, 1]
    x, y, z = (head_to_camera @ point)[:3]
    expected = [150 * x / z + 31, 150 * y / z + 33]
    np.testing.assert_allclose(pixel[:2] / pixel[2], expected, atol=1e-9)


class Wall:
    """A clip that shows a picture painted on the references' plane."""

    camera = structs.Camera(64, 64, np.array([90.0, 32, 32], np.float32))

    def __init__(self, poses):
        self.tracks = types.SimpleNamespace(head_to_camera=poses)

    def frame(self, index):
        matrix = self.tracks.head_to_camera[index]
        back = np.linalg.inv(
            references.homography(self.camera.intrinsics, matrix, SPEC)
        )
        column, row = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
        u, v, w = np.einsum("ij,jhw->ihw", back, np.stack([column, row, 0 * row + 1]))
        u, v = u / w / 32, v / w / 32
        picture = np.stack([u, v, 0.5 + 0.4 * np.sin(6 * u)], -1).clip(0, 1)
        return picture.astype(np.float32), np.ones((64, 64), np.float32), None


def test_references_of_all_poses_show_the_same():
    turns = [(0, 0, 0), (0.2, 0.1, 0), (-0.1, -0.3, 0.1)]
    clip = Wall(np.stack([pose(turn) for turn in turns]))
    head = np.arange(18.0).reshape(3, 6)
    seen = references.make(clip, np.array([0, 1, 2]), head, SPEC)
    inner = seen.images[:, 4:20, 4:-4]
    assert np.ptp(inner[0]) > 0.5
    np.testing.assert_allclose(inner[1:], np.stack([inner[0]] * 2), atol=0.03)
    np.testing.assert_array_equal(seen.cameras[:, :6], head)
    np.testing.assert_allclose(seen.cameras[:, 6], 0.9 / 0.24, rtol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_product_with_neighbours_is_a_convolution(stride):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 8, 6, 3)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    expected = jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        [(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    found = encoder_module._neighbours(images, stride) @ kernel.reshape(27, 5)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_spread_takes_the_ends_and_no_frame_twice():
    np.testing.assert_array_equal(references.spread(np.arange(10, 21), 3), [10, 15, 20])
    np.testing.assert_array_equal(references.spread(np.arange(2), 5), [0, 1])


@pytest.fixture(scope="module")
def encoder():
    model = architecture.from_config(CONFIG)
    params = tiny_model.random_state(CONFIG, 1).params["shared"]["encoder"]

    def encode(seen):
        return jax.jit(model.encoder.apply)(params, seen)

    return model, encode


def test_order_and_number_of_references_do_not_matter(encoder):
    _, encode = encoder
    seen = jax.tree.map(
        lambda x: np.random.default_rng(1).uniform(size=(3, *x.shape[2:])),
        tiny_model.batch(CONFIG, 1).references,
    )
    # Pooled noise is alike in all pictures, so their light differs.
    seen = seen._replace(images=seen.images * np.reshape([0.1, 0.5, 1.0], (3, 1, 1, 1)))
    whole = encode(seen)
    for order in ([2, 0, 1], [0, 1, 2, 2, 1, 0]):
        other = encode(jax.tree.map(lambda x, o=order: x[o], seen))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-4), whole, other
        )
    changed = encode(References(seen.images[:1], seen.cameras[:1]))
    assert np.abs(changed["codes"]["dynamic"] - whole["codes"]["dynamic"]).max() > 2e-3


def test_the_encoder_predicts_coarse_levels_at_their_place_in_the_image(encoder):
    """A change at one place of the images changes the grid's columns there."""
    model, encode = encoder
    rng = np.random.default_rng(0)
    shapes = tiny_model.batch(CONFIG, 1).references
    seen = jax.tree.map(lambda x: rng.uniform(size=(2, *x.shape[2:])), shapes)
    images = seen.images.copy()
    images[:, :4, :4] += 1  # left and up
    before, after = encode(seen)["grid"], encode(seen._replace(images=images))["grid"]
    dense = sum((cells + 1) ** 3 for cells in hashgrid.dense_cells(model.grid))
    assert before.shape == hashgrid.table_shape(model.grid)
    assert not np.asarray(before)[dense:].any()
    n = hashgrid.dense_cells(model.grid)[0] + 1
    change = np.abs(after - before)[: n**3].reshape(n, n, n, -1).max((0, 3))  # y, x
    assert change[0, 0] > 1e-3
    assert change[-1, -1] < 1e-6


def test_before_training_the_encoder_predicts_no_residual(encoder):
    model, _ = encoder
    seen = jax.tree.map(lambda x: x[0], tiny_model.batch(CONFIG, 1).references)

    @jax.jit
    def first(key):
        return model.encoder.init_with_output(key, seen)[0]

    for leaf in jax.tree.leaves(first(jax.random.key(0))):
        assert not leaf.any()
