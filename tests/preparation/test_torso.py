import cv2
import numpy as np
import pytest

from lokitalk_jax.data import layout
from lokitalk_jax.preparation import torso

SIZE = 256
COUNT, REFERENCE = 40, 20
FOCAL, PRINCIPAL = 700.0, (SIZE / 2, SIZE / 2)
TIME = np.arange(COUNT) - REFERENCE
SHIFTS = np.stack([12 * np.sin(TIME / 6), 8 * np.sin(TIME / 4)], -1)
ANGLES = np.radians(4) * np.sin(TIME / 5)
CHEST = np.array([128.0, 210.0])


def warp(index):
    """Where the torso goes: a turn about the chest and a shift."""
    c, s = np.cos(ANGLES[index]), np.sin(ANGLES[index])
    turn = np.array([[c, -s], [s, c]])
    return np.concatenate(
        [turn, (CHEST - turn @ CHEST + SHIFTS[index])[:, None]], 1
    ).astype(np.float32)


def scene(index, clothes=0):
    """A textured torso over a textured wall, under a head that goes its own way."""
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.uniform(0, 255, (SIZE, SIZE, 3)).astype("f4"), None, 4)
    rng = np.random.default_rng(1 + clothes)
    cloth = cv2.GaussianBlur(rng.uniform(0, 255, (SIZE, SIZE, 3)).astype("f4"), None, 3)
    cloth = np.clip(4 * (cloth - 128) + 90, 0, 255)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(labels, (128, 250), (90, 90), 0, 0, 360, layout.TORSO, -1)
    torso = (labels == layout.TORSO).astype("f4")
    torso = cv2.warpAffine(torso, warp(index), (SIZE, SIZE))[..., None]
    cloth = cv2.warpAffine(
        cloth, warp(index), (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT
    )
    image = wall * (1 - torso) + cloth * torso
    cv2.circle(image, (128 - index % 7, 90 + index % 5), 50, (200, 160, 140), -1)
    cv2.circle(labels, (128, 90), 50, layout.HEAD, -1)
    return image.astype(np.uint8), labels


@pytest.fixture(scope="module")
def motion():
    return torso.register(lambda i: scene(i)[0], scene(REFERENCE)[1], REFERENCE, COUNT)


@pytest.fixture
def heads():
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, 2, 3] = 0.9
    return poses


VALID = np.ones(COUNT, bool)


def test_register_finds_the_torsos_motion_apart_from_the_heads(motion):
    assert motion.registered.all()
    seen = motion.warp[..., :2] @ CHEST + motion.warp[..., 2]
    np.testing.assert_allclose(seen, CHEST + SHIFTS, atol=0.5)
    angles = np.arctan2(motion.warp[:, 1, 0], motion.warp[:, 0, 0])
    np.testing.assert_allclose(angles, ANGLES, atol=np.radians(0.5))


def test_poses_put_the_torso_where_it_is_seen(motion, heads):
    found = torso.poses(motion, heads, VALID, FOCAL, PRINCIPAL)
    chest = np.append((CHEST - PRINCIPAL) * 0.96 / FOCAL, 0.96)
    points = found[:, :3, :3] @ chest + found[:, :3, 3]
    pixels = points[:, :2] / points[:, 2:] * FOCAL + PRINCIPAL
    np.testing.assert_allclose(pixels, CHEST + SHIFTS, atol=0.5)


def test_frames_that_cannot_be_registered_lie_between_their_neighbours(motion, heads):
    broken = torso.TorsoMotion(motion.warp.copy(), motion.correlation.copy())
    broken.warp[10, :, 2], broken.correlation[10] = 99, 0.1
    poses = torso.poses(broken, heads, VALID, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(
        poses[10, :3, 3], (poses[9, :3, 3] + poses[11, :3, 3]) / 2, atol=1e-5
    )


def test_a_torso_that_is_lost_or_out_of_view_is_not_tracked(motion, heads):
    lost = motion._replace(
        correlation=np.where(np.arange(COUNT) < 8, 0, motion.correlation)
    )
    assert torso.poses(lost, heads, VALID, FOCAL, PRINCIPAL) is None

    labels = scene(REFERENCE)[1]
    changing = torso.register(
        lambda i: scene(REFERENCE, clothes=i)[0], labels, REFERENCE, COUNT
    )
    assert changing.registered.sum() < 0.5 * COUNT
    labels[labels == layout.TORSO] = layout.BACKGROUND
    absent = torso.register(lambda i: scene(i)[0], labels, REFERENCE, COUNT)
    assert not absent.registered.any()


def test_reference_frame_is_a_usual_one_with_a_face():
    heads = np.tile(np.eye(4), (5, 1, 1))
    heads[:, 0, 3] = [0, 1, 2, 3, 100]
    valid = np.array([True, True, False, True, True])
    assert torso.reference_frame(heads, valid) in (1, 3)
