"""Poses, lips and eyes on faces whose true motion is known, and on the clips."""

import clips
import cv2
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
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh
from lokitalk_jax.data import face_geometry
from lokitalk_jax.preparation import faces, pose

CLIPS = clips.CLIPS / "dev"


def jitter(poses: np.ndarray) -> float:
    """Second-difference rms over sqrt 6 of the rotation, degrees."""
    turns = poses[1:, :3, :3] @ poses[:-1, :3, :3].transpose(0, 2, 1)
    bend = np.diff(Rotation.from_matrix(turns).as_rotvec(), axis=0)
    return float(np.degrees(np.sqrt((bend**2).sum(1).mean() / 6)))


def test_head_frame_is_the_cameras_at_rest():
    points = face_mesh.canonical_points()
    nose, chin, forehead = points[1], points[152], points[10]
    assert 0.1 < np.ptp(points[:, 0]) < 0.2  # metres
    assert chin[1] > nose[1] > forehead[1]  # y down
    assert nose[2] < chin[2]  # z into the head
    assert points[263, 0] > 0 > points[33, 0]  # the person's left at the image's right


def test_known_poses_are_recovered():
    truth = smooth_motion(120)
    rng = np.random.default_rng(0)
    identity = canonical_face() * [1.05, 0.97, 1.1]
    identity = identity + rng.normal(0, 0.001, identity.shape)
    landmarks = photograph(identity, truth)
    landmarks[..., :2] += rng.normal(0, 0.5, landmarks[..., :2].shape)
    tracked = pose.track_poses(landmarks, np.ones(120, bool), FOCAL, PRINCIPAL)

    # Shape and poses share a turn, which the canonical face settles for the identity
    # as well as it can; what must agree is the motion.
    turn = truth[:, :3, :3].transpose(0, 2, 1) @ tracked.head_to_camera[:, :3, :3]
    turn = Rotation.from_matrix(turn).mean()
    assert np.degrees(turn.magnitude()) < 3
    aligned = truth.copy()
    aligned[:, :3, :3] = truth[:, :3, :3] @ turn.as_matrix()
    assert angles_between(tracked.head_to_camera, aligned).mean() < 0.1
    # Rayleigh's median of 0.5 px of noise on each axis.
    assert tracked.reprojection_px == pytest.approx(0.5 * 1.177, rel=0.05)
    assert tracked.head_to_camera.dtype == np.float32
    assert tracked.rigid_points.shape == (len(face_mesh.RIGID), 3)


def test_canonical_face_comes_back_exactly():
    truth = smooth_motion(40)
    tracked = pose.track_poses(
        photograph(canonical_face(), truth), np.ones(40, bool), FOCAL, PRINCIPAL
    )
    canonical = face_mesh.canonical_points()[list(face_mesh.RIGID)]
    assert angles_between(tracked.head_to_camera, truth).max() < 0.1
    assert np.abs(tracked.head_to_camera - truth)[:, :3, 3].max() < 0.001
    assert np.abs(tracked.rigid_points - canonical).max() < 0.0005


def test_rigid_points_keep_the_canonical_gauge():
    identity = canonical_face() * [1.1, 0.95, 1.2]
    tracked = pose.track_poses(
        photograph(identity, smooth_motion(60)), np.ones(60, bool), FOCAL, PRINCIPAL
    )
    canonical = face_mesh.canonical_points()[list(face_mesh.RIGID)]
    points = tracked.rigid_points.astype(float)
    assert np.abs(points.mean(0) - canonical.mean(0)).max() < 1e-5
    centred, model = points - points.mean(0), canonical - canonical.mean(0)
    turn, _ = Rotation.align_vectors(model, centred)
    assert turn.magnitude() < 1e-3
    # The scale, too: no other would bring them nearer.
    assert (points * canonical).sum() / (points**2).sum() == pytest.approx(1, abs=1e-4)


def test_smoothness_calms_noise_but_not_motion():
    truth = smooth_motion(150)
    rng = np.random.default_rng(1)
    # Errors that all landmarks of a frame share look like motion of the head.
    shake = Rotation.from_rotvec(rng.normal(0, np.radians(0.15), (150, 3)))
    shaken = truth.copy()
    shaken[:, :3, :3] = shake.as_matrix() @ truth[:, :3, :3]
    landmarks = photograph(canonical_face(), shaken)
    landmarks[..., :2] += rng.normal(0, 0.7, landmarks[..., :2].shape)
    tracked = pose.track_poses(landmarks, np.ones(150, bool), FOCAL, PRINCIPAL)
    assert jitter(tracked.head_to_camera) < 0.85 * jitter(shaken)
    assert angles_between(tracked.head_to_camera, truth).mean() < 0.25


def test_frames_without_a_face_are_interpolated():
    truth = smooth_motion(60)
    landmarks = photograph(canonical_face(), truth)
    valid = np.ones(60, bool)
    valid[[0, 1, 20, 21, 22, 59]] = False
    landmarks[~valid] = np.nan
    poses = pose.track_poses(landmarks, valid, FOCAL, PRINCIPAL).head_to_camera
    assert np.isfinite(poses).all()
    assert angles_between(poses, truth)[20:23].max() < 1
    np.testing.assert_array_equal(poses[0], poses[2])
    np.testing.assert_array_equal(poses[59], poses[58])


def test_a_mistaken_frame_does_little_harm():
    truth = smooth_motion(60)
    landmarks = photograph(canonical_face(), truth)
    landmarks[30, :, :2] += 200  # another face, say
    poses = pose.track_poses(landmarks, np.ones(60, bool), FOCAL, PRINCIPAL)
    error = angles_between(poses.head_to_camera, truth)
    assert error[[29, 31]].max() < 2  # least squares: 4 degrees
    assert np.delete(error, range(28, 33)).max() < 0.2  # least squares: 0.8


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_clips(count):
    truth = smooth_motion(count)
    landmarks = photograph(canonical_face(), truth)
    poses = pose.track_poses(landmarks, np.ones(count, bool), FOCAL, PRINCIPAL)
    assert angles_between(poses.head_to_camera, truth).max() < 0.1


def test_a_face_unlike_the_average_one_stays_in_front_of_the_camera():
    landmarks = photograph(canonical_face() * [1, 1, 5], smooth_motion(60))
    poses = pose.track_poses(landmarks, np.ones(60, bool), FOCAL, PRINCIPAL)
    # Whole steps towards the new shape put it behind the camera.
    assert poses.head_to_camera[:, 2, 3].min() > 0.3
    assert poses.reprojection_px < 0.2


def test_bad_landmarks_are_refused():
    landmarks = photograph(canonical_face(), smooth_motion(5))
    with pytest.raises(ValueError, match="none of 5 frames shows a face"):
        pose.track_poses(landmarks, np.zeros(5, bool), FOCAL, PRINCIPAL)
    landmarks[3, 4] = np.nan
    with pytest.raises(ValueError, match="frame 3"):
        pose.track_poses(landmarks, np.ones(5, bool), FOCAL, PRINCIPAL)


def test_lips_come_back_to_the_head_frame():
    truth = smooth_motion(50)
    face = np.repeat(canonical_face()[None], 50, axis=0)
    opening = 0.01 * (1 - np.cos(np.arange(50)))
    lower = list(face_mesh.LIPS_OUTER[11:] + face_mesh.LIPS_INNER[11:])
    face[:, lower, 1] += opening[:, None]
    got = face_geometry.lips_in_head_frame(
        photograph(face, truth), truth, FOCAL, PRINCIPAL
    )
    assert got.shape == (50, 40, 3) and got.dtype == np.float32
    # Relative depth is weak perspective here, as the detector's is.
    assert np.abs(got - face[:, face_mesh.LIPS]).max() < 0.001


def test_lips_do_not_follow_a_tilt_of_relative_depth():
    truth = smooth_motion(50)
    landmarks = photograph(canonical_face(), truth)
    turn = np.sin(np.arange(50))[:, None]
    tilted = landmarks.copy()
    tilted[..., 2] += 0.3 * turn * (landmarks[..., 1] - 256)
    plain = face_geometry.lips_in_head_frame(landmarks, truth, FOCAL, PRINCIPAL)
    again = face_geometry.lips_in_head_frame(tilted, truth, FOCAL, PRINCIPAL)
    np.testing.assert_allclose(again, plain, atol=1e-4)


def test_eye_ratio_is_height_over_width_of_the_persons_own_eye():
    landmarks = photograph(canonical_face(), smooth_motion(2))
    landmarks[1] = landmarks[0]
    corner, upper1, upper2, other, lower2, lower1 = face_mesh.LEFT_EYE_6
    landmarks[0, [corner, other], :2] = [[300, 200], [340, 200]]
    landmarks[0, [upper1, upper2], :2] = [[312, 194], [328, 194]]
    landmarks[0, [lower1, lower2], :2] = [[312, 206], [328, 206]]
    ratio = face_geometry.eye_ratios(landmarks)
    assert ratio[0, 0] == pytest.approx(12 / 40)  # left comes first
    assert ratio[0, 1] == pytest.approx(ratio[1, 1])


@pytest.mark.clips
@pytest.mark.parametrize("speaker", ["a", "c"])
def test_poses_of_a_clip(speaker):
    path = CLIPS / f"speaker_{speaker}.mp4"
    if not path.exists():
        pytest.skip("the development clips are not here")
    video = cv2.VideoCapture(str(path))
    with faces.FaceDetector() as detector:
        found = [detector.detect(video.read()[1][..., ::-1]) for _ in range(60)]
    video.release()
    assert all(found)
    landmarks = np.stack([frame[0] for frame in found])
    tracked = pose.track_poses(landmarks, np.ones(60, bool), FOCAL, PRINCIPAL)
    assert tracked.reprojection_px < 1.2
    assert jitter(tracked.head_to_camera) < 1
    depth = tracked.head_to_camera[:, 2, 3]
    assert (0.6 < depth).all() and (depth < 1.6).all()


def test_brow_height_is_that_of_the_face_in_every_pose():
    face = canonical_face()
    raised = face.copy()
    raised[list(face_mesh.BROWS), 1] -= 0.005
    poses = smooth_motion(50)
    rest, high = (
        face_geometry.brow_heights(photograph(points, poses), poses)
        for points in (face, raised)
    )
    width = np.linalg.norm(face[33] - face[263])
    np.testing.assert_allclose(high - rest, 0.005 / width, rtol=0.05)
    assert np.ptp(rest) < 0.1 * (0.005 / width)
