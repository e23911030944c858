import types

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion, pose_fit
from lokitalk_jax.data import pose_vectors
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import UNIT, Camera

SIZE, FOCAL = 128, 350.0
REST = np.eye(4)
REST[2, 3] = 1


def surface():
    """A bowl one metre away, [H, W, 3]."""
    row, column = np.indices((SIZE, SIZE)) + 0.5
    x, y = (column - SIZE / 2) / FOCAL, (row - SIZE / 2) / FOCAL
    depth = 1 + (x**2 + y**2) * 2
    return np.stack([x, y, np.ones_like(x)], -1) * depth[..., None]


def texture():
    noise = np.random.default_rng(0).uniform(0, 1, (SIZE, SIZE, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip((smooth - 0.5) * 6 + 0.5, 0, 1)


def photograph(points, pose):
    """The texture where points are seen after a motion, by the inverse flow."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    flow = (seen[..., :2] / seen[..., 2:] - points[..., :2] / points[..., 2:]) * FOCAL
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    place = np.stack([column, row], -1).astype(np.float32)
    source = place - flow
    for _ in range(5):  # where the pixel that arrives here came from
        there = cv2.remap(flow.astype(np.float32), source.astype(np.float32), None, 1)
        source = place - there
    return cv2.remap(texture(), source.astype(np.float32), None, cv2.INTER_CUBIC), flow


@pytest.mark.parametrize("seed", range(3))
def test_align_finds_a_rigid_motion_to_a_fraction_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rng.normal(0, 0.01, 3)).as_matrix()
    points = surface()
    middle = points.reshape(-1, 3).mean(0)
    pose[:3, 3] = middle - pose[:3, :3] @ middle + rng.normal(0, 0.004, 3)
    truth, flow = photograph(points, pose)
    weights = np.zeros((SIZE, SIZE), np.float32)
    weights[20:-20, 20:-20] = 1
    found, rendered = np.eye(4), texture()
    for _ in range(4):
        found = pose_fit.align(truth, rendered, weights, points, FOCAL) @ found
        rendered, there = photograph(points, found)
    missed = np.linalg.norm(there - flow, axis=-1)[weights > 0]
    assert np.linalg.norm(flow, axis=-1)[weights > 0].mean() > 0.5
    assert missed.mean() < 0.1


def test_align_leaves_equal_pictures_where_they_are():
    same = texture()
    weights = np.ones((SIZE, SIZE), np.float32)
    found = pose_fit.align(same, same, weights, surface(), FOCAL)
    np.testing.assert_allclose(found, np.eye(4), atol=1e-9)


def test_moved_head_and_torso_have_the_signals_of_their_new_poses(avatar):
    start = motion.tracked(avatar.record, [3]).frame(0)
    turn = pose_vectors.from_vector(np.array([0.02, -0.03, 0.01, 0.02, 0.01, -0.03]))
    still = pose_fit.moved(avatar.record, start, np.eye(4), np.eye(4))
    for before, after in zip(start.signals, still.signals, strict=True):
        np.testing.assert_allclose(after, before, atol=2e-6)
    both = pose_fit.moved(avatar.record, start, turn, turn)
    # Where both move alike the head has not moved relative to the torso.
    np.testing.assert_allclose(both.signals.torso, start.signals.torso, atol=2e-6)
    pose = motion.head_pose(avatar.record, both.signals.head)
    np.testing.assert_allclose(pose, both.head_to_camera, atol=1e-5)
    np.testing.assert_array_equal(both.signals.lip, start.signals.lip)


class Painted:
    """Renders the textured bowl as a head that follows the pose, without a torso."""

    camera = Camera(SIZE, SIZE, np.array([FOCAL, SIZE / 2, SIZE / 2], np.float32))

    def __call__(self, pose, signals, plate):
        points = surface()
        rgb, _ = photograph(points, pose @ np.linalg.inv(REST))
        depth = np.linalg.norm(points, axis=-1).astype(np.float32) / UNIT
        regions = np.zeros((SIZE, SIZE, 4), np.float32)
        regions[20:-20, 20:-20, 2] = 1
        return Rendered(rgb, np.ones_like(depth), depth, regions, regions)


TRUE = REST.copy()
TRUE[:3, 3] += [0.004, -0.003, 0.002]


def fitted_to_a_picture(renderer):
    """The start of a fit to a picture of the bowl at `TRUE`, and its result."""
    record = types.SimpleNamespace(rest_pose=REST, plate=np.zeros((1, 1, 3), np.uint8))
    start = motion.FrameMotion(
        REST.astype(np.float32),
        structs.Signals(*(np.zeros(d, np.float32) for d in (8, 2, 6, 18))),
    )
    frame = np.rint(Painted()(TRUE, None, None).rgb * 255).astype(np.uint8)
    return start, pose_fit.fit(renderer, record, start, frame)


def test_fit_finds_the_heads_pose_in_a_picture():
    _, fitted = fitted_to_a_picture(Painted())
    missed = fitted.motion.head_to_camera[:3, 3] - TRUE[:3, 3]
    # A pixel is 2.9 mm here.
    np.testing.assert_allclose(missed[:2], 0, atol=0.0006)
    assert fitted.head_px == pytest.approx(FOCAL * 0.005, rel=0.2)
    assert np.isnan(fitted.torso_px)


class Contrary(Painted):
    """The same, but the head moves the other way, which no fit foresees."""

    def __call__(self, pose, signals, plate):
        return super().__call__(REST @ np.linalg.inv(pose) @ REST, signals, plate)


def test_a_fit_that_makes_the_picture_worse_is_not_taken():
    start, fitted = fitted_to_a_picture(Contrary())
    assert fitted.motion is start
    assert fitted.head_px == pytest.approx(0, abs=1e-6)
