"""Rays against projection, and box crossings against brute force."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax.model import rays
from lokitalk_jax.structs import UNIT, Rays

generate = jax.jit(rays.generate)


@pytest.fixture
def pose():
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = Rotation.from_rotvec([0.2, -0.4, 0.1]).as_matrix()
    pose[:3, 3] = [0.02, -0.01, 0.7]
    return pose


def test_a_point_lies_on_the_ray_of_its_pixel(pose):
    intrinsics = np.array([150, 50, 60], np.float32)
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 3))  # head frame, metres
    camera = points @ pose[:3, :3].T + pose[:3, 3]
    pixels = intrinsics[0] * camera[:, :2] / camera[:, 2:] + intrinsics[1:]
    cast = generate(pixels.astype(np.float32), intrinsics, pose)
    np.testing.assert_allclose(np.linalg.norm(cast.directions, axis=-1), 1, atol=1e-6)
    towards = points / UNIT - cast.origins
    along = np.sum(towards * cast.directions, axis=-1, keepdims=True)
    assert (along > 0).all()
    np.testing.assert_allclose(towards, along * cast.directions, atol=1e-5)


def test_the_camera_is_where_the_rays_start(pose):
    cast = generate(np.zeros((1, 2), np.float32), np.float32([100, 0, 0]), pose)
    in_camera = pose[:3, :3] @ (np.array(cast.origins[0]) * UNIT) + pose[:3, 3]
    np.testing.assert_allclose(in_camera, 0, atol=1e-6)


def test_frames_have_their_own_poses(pose):
    poses = np.stack([pose, np.eye(4, dtype=np.float32)])
    pixels = np.random.default_rng(1).uniform(0, 64, (2, 5, 2)).astype(np.float32)
    intrinsics = np.float32([80, 32, 32])
    together = generate(pixels, intrinsics, poses)
    assert together.origins.shape == (2, 1, 3)
    for b in range(2):
        alone = generate(pixels[b], intrinsics, poses[b])
        np.testing.assert_allclose(together.directions[b], alone.directions, atol=1e-6)
        np.testing.assert_allclose(together.origins[b], alone.origins, atol=1e-6)


def test_box_interval_equals_brute_force():
    rng = np.random.default_rng(2)
    low, high = np.array([-1.0, -0.5, -0.8]), np.array([0.7, 1.0, 0.4])
    origins = rng.uniform(-3, 3, (300, 3))
    origins[:40] = rng.uniform(low, high, (40, 3))  # some start inside
    directions = rng.uniform(low, high, (300, 3)) - origins
    directions[:100] = rng.normal(size=(100, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    directions[::50] = [0, 0, 1]  # parallel to four faces
    near, far = jax.device_get(
        jax.jit(rays.box_interval)(Rays(origins, directions), low, high)
    )
    steps = np.linspace(0, 9, 9001)
    points = origins[:, None] + directions[:, None] * steps[:, None]
    inside = ((points >= low) & (points <= high)).all(-1)
    hit = inside.any(-1)
    assert 50 < hit.sum() < 290
    np.testing.assert_allclose(near[hit], steps[inside.argmax(-1)][hit], atol=2e-3)
    last = len(steps) - 1 - inside[:, ::-1].argmax(-1)
    np.testing.assert_allclose(far[hit], steps[last][hit], atol=2e-3)
    # A corner can be cut by less than the brute force's step.
    np.testing.assert_allclose((far - near)[~hit], 0, atol=2e-3)
