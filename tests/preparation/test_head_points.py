import numpy as np
import pytest
from moving_head import (
    FOCAL,
    PRINCIPAL,
    angles_between,
    canonical_face,
    photograph,
    smooth_motion,
)

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.preparation import head_points, pose
from lokitalk_jax.preparation.flow_points import Followed

COUNT = 60
VALID = np.ones(COUNT, bool)


@pytest.fixture(scope="module")
def truth():
    return smooth_motion(COUNT)


@pytest.fixture(scope="module")
def landmarks(truth):
    """Landmarks of one half of the face are drawn aside, as by an expression."""
    face = canonical_face()
    seen = photograph(face, truth)
    amounts = 3 * np.sin(np.arange(COUNT) / 6)
    seen[:, face[:, 0] > 0, 1] += amounts[:, None]
    return seen


@pytest.fixture(scope="module")
def poses(landmarks):
    return pose.track_poses(landmarks, VALID, FOCAL, PRINCIPAL)


def followed(truth, poses, count=120, noise=0.1):
    """Points on the face and on hair behind it, as optical flow follows them."""
    rng = np.random.default_rng(1)
    face = face_mesh.canonical_points()[rng.choice(468, count // 2)]
    hair = np.stack(
        [
            rng.choice([-1, 1], count // 2) * rng.uniform(0.07, 0.08, count // 2),
            rng.uniform(-0.1, 0.0, count // 2),
            rng.uniform(0.02, 0.08, count // 2),
        ],
        1,
    )
    points = np.concatenate([face, hair])
    seen = points @ truth[:, :3, :3].transpose(0, 2, 1) + truth[:, None, :3, 3]
    places = seen[..., :2] / seen[..., 2:] * FOCAL + np.array(PRINCIPAL) - 0.5
    places += rng.normal(0, noise, places.shape)
    middle = pose.middle_frame(poses.head_to_camera, VALID)
    sharpness = np.tile(np.eye(2), (count, 1, 1))
    weights = np.full(places.shape[:2], 0.8)
    return Followed(places[middle], places, weights, sharpness)


def errors(found, truth):
    """Changes of the head's turn that are wrong, degrees; the frame itself is free."""
    turn = np.linalg.inv(found[:1]) @ found, np.linalg.inv(truth[:1]) @ truth
    return angles_between(*turn)


def test_followed_points_correct_poses_that_an_expression_has_moved(
    truth, landmarks, poses
):
    refined = head_points.refine(
        poses, followed(truth, poses), landmarks, VALID, FOCAL, PRINCIPAL
    )
    before = errors(poses.head_to_camera, truth)
    after = errors(refined, truth)
    assert np.median(after) < 0.6 * np.median(before)


def test_few_points_change_nothing(truth, landmarks, poses):
    few = followed(truth, poses, count=10)
    same = head_points.refine(poses, few, landmarks, VALID, FOCAL, PRINCIPAL)
    assert same is poses.head_to_camera
    unseen = followed(truth, poses)
    unseen = unseen._replace(weights=0.05 * unseen.weights)
    same = head_points.refine(poses, unseen, landmarks, VALID, FOCAL, PRINCIPAL)
    assert same is poses.head_to_camera


def test_frames_without_a_face_lie_between_their_neighbours(truth, landmarks, poses):
    valid = VALID.copy()
    valid[20:25] = False
    lost = landmarks.copy()
    lost[~valid] = np.nan
    found = head_points.refine(
        pose.track_poses(lost, valid, FOCAL, PRINCIPAL),
        followed(truth, poses),
        lost,
        valid,
        FOCAL,
        PRINCIPAL,
    )
    assert np.isfinite(found).all()
    low, high = sorted((found[19, 0, 3], found[25, 0, 3]))
    assert ((found[20:25, 0, 3] >= low) & (found[20:25, 0, 3] <= high)).all()


def test_warps_bring_the_landmarks_of_one_frame_to_those_of_another(poses):
    warps = head_points.warps(poses, 30, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(warps[30], np.eye(2, 3), atol=1e-4)
    points = canonical_face()[list(face_mesh.RIGID)]
    seen = photograph(points, poses.head_to_camera.astype(float))[..., :2] - 0.5
    moved = np.einsum("fij,pj->fpi", warps[..., :2], seen[30]) + warps[:, None, :, 2]
    apart = np.linalg.norm(moved - seen, axis=2)
    still = np.linalg.norm(seen[30] - seen, axis=2)
    assert np.median(apart) < 0.25 * np.median(still)


def test_what_moves_on_a_head_is_left_out(truth):
    landmarks = photograph(canonical_face(), truth[:1])[0]
    labels = np.full((512, 512), layout.TORSO, np.uint8)
    labels[80:420, 130:380] = layout.HEAD
    part = head_points.rigid_part(labels, landmarks)

    def at(number):
        x, y = landmarks[number, :2].astype(int)
        return part[y, x]

    for moving in (159, 386, 13, 14, 152, 105, 334, 61):  # lids, lips, chin, brows
        assert not at(moving)
    for rigid in (6, 4, 195):  # along the nose
        assert at(rigid)
    assert not part[labels == layout.TORSO].any()
    assert part[:120].any()  # hair above the forehead
