import numpy as np
import pytest
import tiny_folder
from scipy.spatial.transform import Rotation

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import pose_vectors, signals

FRAMES = 60


def _clip(seed=0, frames=FRAMES):
    return tiny_folder.tracks(frames, 48, 64, seed)


def _fit(tracks, train=None, **options):
    if train is None:
        train = np.arange(len(tracks.valid)) < 50
    return signals.fit_apply({"x": tracks}, {"x": train}, **options)[0]


def _same(a, b, **tolerance):
    for field, left, right in zip(structs.Signals._fields, a, b, strict=True):
        np.testing.assert_allclose(left, right, err_msg=field, **tolerance)


def test_head_signal_gives_back_the_pose():
    tracks = _clip()
    fitted = _fit(tracks)
    head = signals.apply(fitted, "x", tracks).head
    pose = fitted.mean_pose[0] @ pose_vectors.from_vector(head)
    np.testing.assert_allclose(pose, tracks.head_to_camera, atol=1e-5)


def test_mean_pose_of_symmetric_motion_is_its_middle():
    middle = Rotation.from_euler("xyz", [0.3, -0.4, 1.0])
    turns = Rotation.from_rotvec(np.array([[0, 0.5, 0], [0, -0.5, 0], [0, 0, 0]]))
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, :3] = (middle * turns).as_matrix()
    poses[:, :3, 3] = [[1, 0, 0], [3, 0, 0], [2, 3, 0]]
    mean = pose_vectors.mean(poses)
    np.testing.assert_allclose(mean[:3, :3], middle.as_matrix(), atol=1e-7)
    np.testing.assert_allclose(mean[:3, 3], [2, 1, 0], atol=1e-7)


def test_translation_is_in_units():
    pose = np.eye(4)
    pose[:3, 3] = [structs.UNIT, 0, -structs.UNIT]
    vector = pose_vectors.to_vector(pose)
    np.testing.assert_allclose(vector, [0, 0, 0, 1, 0, -1], atol=1e-7)


def _turning(tracks, spread):
    """The clip with turns of the head of `spread` radians, normally distributed."""
    turns = np.random.default_rng(2).normal(0, spread, (FRAMES, 3))
    poses = tracks.head_to_camera.copy()
    poses[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    return tracks._replace(head_to_camera=poses)


def _seen_with_wrong_pose(tracks, head):
    """The lips as a tracker has them that errs by a share of the head's turn."""
    error = np.random.default_rng(1).normal(0, 0.2, (6, 3))
    error = pose_vectors.from_vector(head[:, :3] @ error.T)
    lips = np.einsum("fij,fpj->fpi", error[:, :3, :3], tracks.lips)
    lips += error[:, None, :3, 3]
    return tracks._replace(lips=lips.astype(np.float32))


def test_an_error_in_the_pose_leaves_lip_coefficients_alone():
    tracks = _turning(_clip(), 0.4)
    head = signals.apply(_fit(tracks), "x", tracks).head
    leaky = _seen_with_wrong_pose(tracks, head)
    basis = _fit(tracks).lip_basis
    clean, dirty = (
        signals.apply(_fit(t, lip_basis=basis), "x", t).lip for t in (tracks, leaky)
    )
    # Applied without the regression that fits it, the leak shows. Only the four modes
    # of the speech are looked at; what follows them is noise.
    leaked = signals.apply(_fit(tracks), "x", leaky).lip
    shown, left = ((lip - clean)[:, :4].std() for lip in (leaked, dirty))
    assert shown > 0.5
    assert left < 0.1 * shown


@pytest.mark.parametrize("spread", [0.035, 0.4])
def test_speech_that_goes_with_a_nod_stays_in_the_lips(spread):
    tracks = _turning(_clip(), spread)
    head = signals.apply(_fit(tracks), "x", tracks).head
    habit = np.random.default_rng(1).normal(0, 0.03, (3, 120))
    nodded = (head[:, :3] @ habit).reshape(-1, 40, 3).astype(np.float32)
    both = tracks._replace(lips=tracks.lips.mean(0) + nodded)
    fitted = _fit(both)
    reduced = signals.apply(fitted, "x", both).lip * fitted.lip_scale[0]
    moved = both.lips.reshape(FRAMES, 120) - fitted.lip_mean[0]
    kept = np.mean(reduced**2) / np.mean((moved @ fitted.lip_basis.T) ** 2)
    assert kept > 0.9


def test_lip_motion_has_unit_variance_and_noise_is_not_blown_up():
    tracks = _clip()
    lip = signals.apply(_fit(tracks), "x", tracks).lip[:50]
    np.testing.assert_allclose(lip.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.mean(lip**2), 1, atol=1e-3)
    assert (lip.std(0)[4:] < 0.1).all()  # there were only four modes
    still = tracks._replace(
        lips=tracks.lips.mean(0) + 1e-4 * (tracks.lips - tracks.lips.mean(0))
    )
    assert np.abs(signals.apply(_fit(still), "x", still).lip).max() < 0.1


def test_lips_that_move_alike_and_more_have_the_same_coefficients():
    """Whoever drives: a mouth that opens twice as far is as open in its own terms."""
    quiet = _clip()
    middle = quiet.lips[:50].mean(0)
    loud = quiet._replace(lips=middle + 2 * (quiet.lips - middle))
    train = np.ones(FRAMES, bool)
    both = signals.fit_apply({"a": quiet, "b": loud}, {"a": train, "b": train})[0]
    first, second = (
        signals.apply(both, name, one).lip for name, one in (("a", quiet), ("b", loud))
    )
    np.testing.assert_allclose(first, second, atol=0.05)


def test_lip_shapes_are_spanned_by_their_coefficients():
    tracks = _clip()
    fitted = _fit(tracks)
    drive = signals.apply(fitted, "x", tracks)
    shape = fitted.lip_mean[0] + drive.head @ fitted.lip_leak[0]
    shape = shape + (drive.lip * fitted.lip_scale[0]) @ fitted.lip_basis
    np.testing.assert_allclose(shape, tracks.lips.reshape(FRAMES, -1), atol=1e-5)


def test_basis_is_shared_and_can_be_a_prior_s():
    first, second = _clip(0), _clip(1)
    train = np.ones(FRAMES, bool)
    both = signals.fit_apply({"a": first, "b": second}, {"a": train, "b": train})[0]
    assert both.lip_basis.shape == (8, 120)
    np.testing.assert_allclose(both.lip_basis @ both.lip_basis.T, np.eye(8), atol=1e-5)
    alone = signals.fit_apply({"b": second}, {"b": train}, lip_basis=both.lip_basis)[0]
    np.testing.assert_array_equal(alone.lip_basis, both.lip_basis)
    _same(
        signals.apply(alone, "b", second), signals.apply(both, "b", second), atol=1e-5
    )
    # A long clip weighs no more in the basis than a short one.
    longer = first._replace(
        **{
            k: np.concatenate([v] * 3)
            for k, v in first._asdict().items()
            if v is not None
        }
    )
    train3 = np.ones(3 * FRAMES, bool)
    weighed = signals.fit_apply({"a": longer, "b": second}, {"a": train3, "b": train})[
        0
    ]
    overlap = np.linalg.svd(weighed.lip_basis @ both.lip_basis.T)[1]
    np.testing.assert_allclose(overlap, 1, atol=1e-4)


@pytest.mark.parametrize("blinks", [0, 1, 6])
def test_eyes_are_open_at_one_and_closed_at_zero(blinks):
    ratio = np.full((FRAMES, 2), 0.3, np.float32) * [1, 0.8]
    ratio[np.arange(blinks) * 8] = [0.06, 0.05]
    tracks = _clip()._replace(eye_ratio=ratio.astype(np.float32))
    eye = signals.apply(_fit(tracks), "x", tracks).eye[:, :2]
    np.testing.assert_allclose(np.median(eye, 0), 1, atol=1e-5)
    assert eye.min() >= -0.2 - 1e-6 and eye.max() <= 1.2 + 1e-6
    if blinks:  # even one frame, below any percentile, is a blink
        np.testing.assert_allclose(eye.min(0), 0, atol=1e-5)


def test_one_bad_frame_does_not_set_the_closed_level():
    ratio = np.full((FRAMES, 2), 0.3, np.float32)
    ratio[[5, 6, 20, 21, 40]] = 0.09
    ratio[30] = 0.001
    tracks = _clip()._replace(eye_ratio=ratio)
    eye = signals.apply(_fit(tracks), "x", tracks).eye[:, :2]
    np.testing.assert_allclose(eye[[5, 20, 40]], 0, atol=1e-5)
    np.testing.assert_allclose(eye[30], -0.2, atol=1e-6)


def test_noise_of_eyes_that_never_blink_is_no_blink():
    noise = np.random.default_rng(0).normal(0.3, 0.006, (FRAMES, 2))
    tracks = _clip()._replace(eye_ratio=noise.astype(np.float32))
    assert signals.apply(_fit(tracks), "x", tracks).eye[:, :2].min() > 0.8


def test_raised_brows_are_above_zero_and_slipped_landmarks_are_cut_off():
    tracks = _clip()
    poses = np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1))
    landmarks = np.tile(tracks.landmarks[:1], (FRAMES, 1, 1))
    corners = landmarks[0, [33, 263]]
    width = np.linalg.norm(corners[0] - corners[1])
    landmarks[5, face_mesh.BROWS, 1] -= 0.055 * width
    landmarks[6, face_mesh.BROWS, 1] -= width
    tracks = tracks._replace(landmarks=landmarks, head_to_camera=poses)
    brows = signals.apply(_fit(tracks), "x", tracks).eye[:, 2]
    np.testing.assert_allclose(brows[5:7], [1, 3], atol=1e-3)
    np.testing.assert_allclose(np.delete(brows, (5, 6)), 0, atol=1e-3)


def test_torso_lags_hold_the_first_pose():
    tracks = _clip()
    drive = signals.apply(_fit(tracks), "x", tracks)
    torso = drive.torso.reshape(FRAMES, len(structs.TORSO_LAGS), 6)
    for column, lag in enumerate(structs.TORSO_LAGS):
        np.testing.assert_array_equal(torso[lag:, column], drive.head[: FRAMES - lag])
        for early in range(lag):
            np.testing.assert_array_equal(torso[early, column], drive.head[0])


def test_torso_signal_is_zero_for_a_body_moving_as_one_with_the_head():
    tracks = _clip()
    neck = pose_vectors.from_vector(np.array([0.0, 0, 0, 0, 1, 0.2]))
    stiff = tracks._replace(torso_to_camera=tracks.head_to_camera @ neck)
    fitted = _fit(stiff)
    drive = signals.apply(fitted, "x", stiff)
    assert np.abs(drive.head).max() > 0.05
    np.testing.assert_allclose(drive.torso, 0, atol=2e-3)
    # A torso that stands still: the head moves against it as against the camera.
    still = tracks._replace(torso_to_camera=np.tile(np.eye(4), (FRAMES, 1, 1)))
    drive = signals.apply(_fit(still), "x", still)
    np.testing.assert_allclose(drive.torso[:, :6], drive.head, atol=1e-5)
    with pytest.raises(ValueError, match="torso_to_camera"):
        signals.apply(fitted, "x", tracks)


def test_held_out_frames_change_nothing():
    tracks = _clip()
    train = np.arange(FRAMES) < 40
    other = _clip(5)
    changed = tracks._replace(
        **{
            key: np.where(
                train.reshape(-1, *[1] * (value.ndim - 1)), value, getattr(other, key)
            )
            for key, value in tracks._asdict().items()
            if value is not None
        }
    )
    first, second = _fit(tracks, train), _fit(changed, train)
    for key, value in first.to_arrays().items():
        if key == "quantiles":
            _same(first.quantiles, second.quantiles, atol=0)
        else:
            np.testing.assert_array_equal(value, second.to_arrays()[key], key)


def test_frames_without_a_face_lie_between_their_neighbours():
    tracks = _clip()
    valid = tracks.valid.copy()
    valid[[0, 20, 21, 59]] = False
    broken = {k: v.copy() for k, v in tracks._asdict().items() if v is not None}
    for key in ("head_to_camera", "lips", "eye_ratio", "landmarks"):
        broken[key][~valid] = np.nan
    tracks = tracks._replace(**broken | {"valid": valid})
    drive = signals.apply(_fit(tracks), "x", tracks)
    for leaf in drive:
        assert leaf.dtype == np.float32 and np.isfinite(leaf).all()
    np.testing.assert_array_equal(drive.lip[0], drive.lip[1])
    np.testing.assert_allclose(
        drive.lip[20], (2 * drive.lip[19] + drive.lip[22]) / 3, atol=1e-6
    )


def test_round_trip_as_arrays():
    train = np.ones(FRAMES, bool)
    fitted = signals.fit_apply(
        {"a": _clip(0), "b": _clip(1)}, {"a": train, "b": train}
    )[0]
    arrays = fitted.to_arrays()
    back = signals.Fitted.from_arrays(["a", "b"], arrays)
    _same(signals.apply(back, "b", _clip(1)), signals.apply(fitted, "b", _clip(1)))
    _same(back.quantiles, fitted.quantiles)


def test_quantiles_and_rest():
    tracks = _clip()
    fitted = _fit(tracks)
    drive = signals.apply(fitted, "x", tracks)
    low, high = (fitted.quantiles.lip[0, k] for k in (0, -1))
    np.testing.assert_allclose(drive.lip[:50].min(0), low, atol=1e-6)
    np.testing.assert_allclose(drive.lip[:50].max(0), high, atol=1e-6)
    rest = signals.rest(fitted, "x")
    for leaf, seen in zip(rest, drive, strict=True):
        assert leaf.shape == seen.shape[1:]
    assert (
        (rest.eye == structs.EYE_REST).all()
        and not rest.head.any()
        and not rest.torso.any()
    )
    assert np.abs(rest.lip).max() < 1


def test_errors_say_what_to_do():
    tracks = _clip()
    with pytest.raises(ValueError, match="'x' has 1 training frames.*max_seconds"):
        _fit(tracks, np.arange(FRAMES) == 3)
    with pytest.raises(ValueError, match="'y', only for x"):
        signals.apply(_fit(tracks), "y", tracks)
