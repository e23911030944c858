import types

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lokitalk_jax.data import layout
from lokitalk_jax.preparation import flow_points, pose, stages, torso

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


def grey(index):
    return cv2.cvtColor(scene(index)[0], cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module")
def motion():
    warps, correlations = torso.register(
        lambda i: scene(i)[0], scene(REFERENCE)[1], REFERENCE, COUNT
    )
    template = flow_points.choose(grey(REFERENCE), scene(REFERENCE)[1] == layout.TORSO)
    found = [flow_points.follow(template, grey(i), warps[i]) for i in range(COUNT)]
    places, weights = (np.stack(one)[:, ::3] for one in zip(*found, strict=True))
    points, sharpness = template.points[::3], template.sharpness[::3]
    return torso.TorsoMotion(warps, correlations, points, places, weights, sharpness)


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


def test_points_are_followed_to_a_fraction_of_a_pixel(motion):
    truth = np.stack(
        [motion.points @ warp(i)[:, :2].T + warp(i)[:, 2] for i in range(COUNT)]
    )
    missed = np.linalg.norm(motion.places - truth, axis=2)[motion.weights > 0.5]
    assert len(missed) > 10 * COUNT
    assert np.median(missed) < 0.1
    assert np.quantile(missed, 0.95) < 0.35


def test_points_outside_the_frame_have_no_weight():
    template = flow_points.choose(grey(REFERENCE), scene(REFERENCE)[1] == layout.TORSO)
    away = np.array([[1, 0, 0], [0, 1, SIZE]], np.float32)
    _, weights = flow_points.follow(template, grey(REFERENCE), away)
    assert not weights.any()


def test_poses_put_the_torso_where_it_is_seen(motion, heads):
    found = torso.poses(motion, heads, VALID, FOCAL, PRINCIPAL)
    found = found @ np.linalg.inv(found[REFERENCE])
    chest = np.append((CHEST - PRINCIPAL) * 0.96 / FOCAL, 0.96)
    points = found[:, :3, :3] @ chest + found[:, :3, 3]
    pixels = points[:, :2] / points[:, 2:] * FOCAL + PRINCIPAL
    np.testing.assert_allclose(pixels, CHEST + SHIFTS, atol=0.3)


def test_a_shape_that_puts_the_torso_far_from_the_neck_is_not_taken(
    motion, heads, monkeypatch
):
    # A quarter of the size at a quarter of the distance gives the same pictures.
    monkeypatch.setattr(torso.bundle, "fit_points", lambda prior, *_: prior / 4)
    found = torso.poses(motion, heads, VALID, FOCAL, PRINCIPAL)
    chest = np.append((CHEST - PRINCIPAL) * 0.96 / FOCAL, 0.96)
    depth = found[:, 2, :3] @ chest + found[:, 2, 3]
    assert np.median(depth) == pytest.approx(0.96, rel=0.2)


def test_poses_follow_a_torso_that_leans_and_turns(motion, heads):
    rng = np.random.default_rng(0)
    middle = np.array(PRINCIPAL) - 0.5
    places = (motion.points - middle) / FOCAL
    # Flatter and broader than the average one.
    away = (places * 0.96 - [0, 0.35]) / [0.25, 0.35]
    inside = np.maximum(1 - (away**2).sum(1, keepdims=True), 0)
    depth = 0.99 - 0.08 * np.sqrt(inside)
    depth += rng.normal(0, 0.02, depth.shape)
    points = np.pad(places, ((0, 0), (0, 1)), constant_values=1) * depth
    truth = np.tile(np.eye(4), (COUNT, 1, 1))
    turns = 0.06 * np.sin(TIME[:, None] / [5, 4, 6])
    truth[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    truth[:, :3, 3] = 0.01 * np.sin(TIME[:, None] / [7, 5, 8])
    centre = points.mean(0)
    truth[:, :3, 3] += centre - truth[:, :3, :3] @ centre

    def project(poses):
        seen = points @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]
        return seen[..., :2] / seen[..., 2:] * FOCAL + middle

    still = np.tile(np.eye(2, 3, dtype=np.float32), (COUNT, 1, 1))
    places = project(truth) + rng.normal(0, 0.2, (COUNT, len(points), 2))
    weights = np.ones(places.shape[:2], np.float32)
    weights[:, :5] = 0  # not seen, and far away
    places[:, :5] += 50
    seen = motion._replace(warp=still, places=places.astype("f4"), weights=weights)
    found = torso.poses(seen, heads, VALID, FOCAL, PRINCIPAL)
    turned = Rotation.from_matrix(found[:, :3, :3]).as_rotvec()
    # Depth and turns share a scale, which the images alone hardly determine.
    assert np.corrcoef(turned[:, 0], turns[:, 0])[0, 1] > 0.98
    assert np.corrcoef(turned[:, 1], turns[:, 1])[0, 1] > 0.98
    # So the poses are judged by the points that they themselves see best.
    truly = project(truth)[:, 5:]
    missed = truly - reprojected(found, truly, middle)
    assert np.median(np.linalg.norm(missed, axis=2)) < 0.2


def test_a_torso_that_hardly_turns_is_not_taken_for_its_mirror_image(motion, heads):
    """Which turns the other way and shows nearly the same pictures."""
    middle = np.array(PRINCIPAL) - 0.5
    places = (motion.points - middle) / FOCAL
    away = (places * 0.96 - [0, 0.35]) / [0.25, 0.35]
    inside = np.maximum(1 - (away**2).sum(1, keepdims=True), 0)
    depth = 0.99 - 0.08 * np.sqrt(inside)
    points = np.pad(places, ((0, 0), (0, 1)), constant_values=1) * depth
    turns = 0.015 * np.sin(TIME[:, None] / [5, 4, 6])
    rotation = Rotation.from_rotvec(turns).as_matrix()
    centre = points.mean(0)
    seen = (points - centre) @ rotation.transpose(0, 2, 1) + centre
    places = seen[..., :2] / seen[..., 2:] * FOCAL + middle
    places += np.random.default_rng(0).normal(0, 0.5, places.shape)
    still = np.tile(np.eye(2, 3, dtype=np.float32), (COUNT, 1, 1))
    weights = np.ones(places.shape[:2], np.float32)
    moved = motion._replace(warp=still, places=places.astype("f4"), weights=weights)
    found = torso.poses(moved, heads, VALID, FOCAL, PRINCIPAL)
    turned = Rotation.from_matrix(found[:, :3, :3]).as_rotvec()
    for axis in (0, 1):
        assert np.corrcoef(turned[:, axis], turns[:, axis])[0, 1] > 0.7


def reprojected(poses, places, middle):
    """Places [F, P, 2] of the points that fit them best under poses [F, 4, 4]."""
    rays = (places - middle) / FOCAL
    rotation, shift = poses[:, None, :3, :3], poses[:, None, :3, 3]
    rows = rotation[..., :2, :] - rays[..., None] * rotation[..., 2:, :]
    right = rays * shift[..., 2:] - shift[..., :2]
    rows, right = np.moveaxis(rows, 1, 0), np.moveaxis(right, 1, 0)
    points = [
        np.linalg.lstsq(a.reshape(-1, 3), b.ravel(), rcond=None)[0]
        for a, b in zip(rows, right, strict=True)
    ]
    seen = np.array(points) @ poses[:, :3, :3].transpose(0, 2, 1)
    seen = seen + poses[:, None, :3, 3]
    return seen[..., :2] / seen[..., 2:] * FOCAL + middle


def test_places_along_an_edge_count_for_nothing(motion, heads):
    """Flow slides along the outline of a shoulder; the pose must not follow it."""
    along = Rotation.from_euler("z", 30, degrees=True).as_matrix()[:2, :1]
    on_edge = np.arange(len(motion.points)) % 2 == 0
    sharpness = np.tile(np.eye(2, dtype=np.float32), (len(motion.points), 1, 1))
    sharpness[on_edge] -= along @ along.T
    slip = 3 * np.sin(TIME / 3)[:, None, None] * along[:, 0] * on_edge[:, None]
    slipped = motion._replace(
        places=motion.places + slip.astype("f4"), sharpness=sharpness
    )
    still = motion._replace(sharpness=sharpness)
    found, truth = (
        torso.poses(one, heads, VALID, FOCAL, PRINCIPAL) for one in (slipped, still)
    )
    np.testing.assert_allclose(found, truth, atol=2e-4)


def test_texture_says_in_which_direction_a_place_is_known():
    picture = np.full((128, 128), 60, np.uint8)
    picture[64:] = 180
    picture[:, 64:] //= 2
    template = flow_points.choose(picture, np.ones(picture.shape, bool))
    lengths = np.linalg.eigvalsh(template.sharpness)
    assert lengths.min() > -1e-6
    assert lengths.max() < 1 + 1e-6
    corner = np.abs(template.points - 64).max(1) < 4
    edge = (np.abs(template.points[:, 1] - 64) < 3) & (template.points[:, 0] < 50)
    assert corner.any() and edge.any()
    np.testing.assert_allclose(template.sharpness[edge, 1, 1], 1, atol=1e-3)
    assert template.sharpness[edge, 0, 0].max() < 0.05
    assert lengths[corner].min() > 0.5


def test_a_torso_without_points_follows_the_coarse_motion(motion, heads):
    plain = motion._replace(weights=0 * motion.weights)
    found = torso.poses(plain, heads, VALID, FOCAL, PRINCIPAL)
    angles = Rotation.from_matrix(found[:, :3, :3]).as_rotvec()[:, 2]
    np.testing.assert_allclose(angles, ANGLES, atol=np.radians(0.5))


def test_frames_that_cannot_be_registered_lie_between_their_neighbours(motion, heads):
    correlation, places = motion.correlation.copy(), motion.places.copy()
    places[10], correlation[10] = 99, 0.1
    broken = motion._replace(correlation=correlation, places=places)
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
    _, changing = torso.register(
        lambda i: scene(REFERENCE, clothes=i)[0], labels, REFERENCE, COUNT
    )
    assert (changing < 0.6).sum() > 0.5 * COUNT
    labels[labels == layout.TORSO] = layout.BACKGROUND
    _, absent = torso.register(lambda i: scene(i)[0], labels, REFERENCE, COUNT)
    assert not absent.any()


def test_tracks_do_not_depend_on_the_number_of_threads(heads):
    folder = types.SimpleNamespace(
        frame=lambda i: scene(REFERENCE + i)[0], labels=lambda i: scene(REFERENCE)[1]
    )
    poses, valid = heads[:5], VALID[:5]
    threads = cv2.getNumThreads()
    one, many = (stages.register_torso(folder, poses, valid, n) for n in (1, 3))
    for first, second in zip(one, many, strict=True):
        np.testing.assert_array_equal(first, second)
    assert one.places.shape == (5, len(one.points), 2)
    assert cv2.getNumThreads() == threads


def test_reference_frame_is_a_usual_one_with_a_face():
    heads = np.tile(np.eye(4), (5, 1, 1))
    heads[:, 0, 3] = [0, 1, 2, 3, 100]
    valid = np.array([True, True, False, True, True])
    assert pose.middle_frame(heads, valid) in (1, 3)
