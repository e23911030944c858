import hashlib
import pathlib

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from lokitalk_jax import demo, face_mesh, structs
from lokitalk_jax.data import folder, layout
from lokitalk_jax.data.folder_writer import FolderWriter
from lokitalk_jax.demo import raster, render, shapes
from lokitalk_jax.media import image_file

SIZE = 96
CONTROLLED = demo.MotionStyle(controlled=True, pose_error=0.1, hair_lag=0.2)


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    root = tmp_path_factory.mktemp("cast")
    demo.make_cast(root, identities=2, seconds=2, size=SIZE, workers=2)
    return [folder.IdentityFolder(root / name) for name in ("demo_00", "demo_01")]


@pytest.fixture(scope="module")
def truth(cast):
    return demo.load_truth(cast[0])


@pytest.fixture(scope="module")
def renderer(truth):
    return demo.Renderer(truth)


@pytest.fixture(scope="module")
def controlled():
    return demo.make_truth(1, 8.0, SIZE, 3, CONTROLLED)[0]


def _digests(path: pathlib.Path) -> dict[str, str]:
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return {
        str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
    }


def test_same_seed_same_bytes_whatever_the_workers(cast, tmp_path):
    (again,) = demo.make_cast(tmp_path, identities=1, seconds=2, size=SIZE, workers=1)
    assert _digests(again) == _digests(cast[0].path)


def test_other_seeds_and_neighbours_look_different(cast, tmp_path):
    (other,) = demo.make_cast(tmp_path, identities=1, seconds=1, size=SIZE, seed=1)
    frames = [x.frame(0).astype(int) for x in (*cast, folder.IdentityFolder(other))]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(frames[a] - frames[b]).mean() > 10


def test_complete_folders_are_kept_and_others_are_refused(cast):
    root = cast[0].path.parent
    before = (cast[0].path / "identity.json").stat().st_mtime_ns
    demo.make_cast(root, identities=2, seconds=2, size=SIZE)
    assert (cast[0].path / "identity.json").stat().st_mtime_ns == before
    motion = demo.MotionStyle(sway=0.01)
    with pytest.raises(ValueError, match=r"motion\.sway 0\.004.*motion\.sway 0\.01"):
        demo.make_cast(root, identities=2, seconds=2, size=SIZE, motion=motion)


def test_interrupted_folders_are_made_anew_but_strangers_are_left(tmp_path):
    options = dict(identities=1, seconds=1, size=32)
    (path,) = demo.make_cast(tmp_path, **options)
    whole = _digests(path)
    (path / "identity.json").unlink()
    (path / "masks" / "000003.png").unlink()
    demo.make_cast(tmp_path, **options)
    assert _digests(path) == whole
    stranger = tmp_path / "other" / "demo_00"
    stranger.mkdir(parents=True)
    (stranger / "letter.txt").write_text("keep me")
    with pytest.raises(ValueError, match="not a demo identity"):
        demo.make_cast(tmp_path / "other", **options)
    assert (stranger / "letter.txt").exists()


def test_what_a_process_failed_with_is_one_error(tmp_path, capfd):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="demo_00 could not be made: NotADirectoryError"):
        demo.make_cast(tmp_path / "file", identities=2, seconds=1, size=32, workers=2)
    assert "Traceback" not in capfd.readouterr().err


def test_options_out_of_range_are_refused(tmp_path):
    for options in ({"identities": 0}, {"seconds": 0.5}, {"size": 16}):
        with pytest.raises(ValueError, match="at least 1 identity, 1 s and 32 px"):
            demo.make_cast(tmp_path, **options)


def test_only_demo_identities_have_a_truth(cast, tmp_path):
    FolderWriter(tmp_path).write_meta(cast[0].meta)
    with pytest.raises(ValueError, match=r"no truth\.npz"):
        demo.load_truth(folder.IdentityFolder(tmp_path))


def test_files_are_what_the_folder_promises(cast):
    identity = cast[0]
    meta, tracks = identity.meta, identity.tracks()
    assert (meta.frame_count, meta.train_frames) == (50, 45)
    assert tracks.landmarks.shape == (50, 478, 3)
    assert tracks.lips.shape == (50, len(face_mesh.LIPS), 3)
    assert {a.dtype for a in tracks} == {np.dtype(np.float32), np.dtype(bool)}
    samples = np.fromfile(identity.audio_path, np.int16)[22:]
    assert len(samples) == 2 * structs.AUDIO_RATE
    assert 1000 < np.abs(samples).max() <= 32767


def test_voice_is_loud_where_the_mouth_is_open():
    truth, audio = demo.make_truth(0, 8.0, SIZE, 0, demo.MotionStyle())
    loudness = np.sqrt(np.square(audio.reshape(200, -1)).mean(-1))
    opening = truth.performance.lip[:, 0]
    assert np.corrcoef(ndimage.gaussian_filter1d(loudness, 1), opening)[0, 1] > 0.6


def test_frames_are_the_rendered_ones_over_the_plate(cast, renderer):
    picture = renderer(7)
    frame = cast[0].frame(7) / 255
    assert np.abs(frame - picture.rgb).mean() < 0.01
    plate = image_file.read_stored(cast[0].path / layout.PLATE)
    plate, seen = plate[..., :3], plate[..., 3] > 127
    bare = picture.alpha == 0
    assert seen[bare].all() and not seen.all()
    assert np.abs(frame - plate / 255)[bare].max() < 0.06


@pytest.mark.parametrize("motion", [demo.MotionStyle(), CONTROLLED])
def test_offsets_lead_back_to_rest(motion):
    truth, _ = demo.make_truth(2, 4.0, SIZE, 1, motion)
    performance, rest = truth.performance, truth.person.vertices
    most_open = int(np.argmax(performance.lip[:, 0]))
    blink = int(np.argmin(performance.eye[:, 0]))
    assert performance.lip[most_open, 0] > 0.008 and performance.eye[blink, 0] < 0.1
    for frame in (most_open, blink, 30, 77):
        points = demo.observed_vertices(truth, frame)
        total = sum(
            demo.exact_offset(truth, frame, points, region, truth.person.material)
            for region in structs.REGIONS
        )
        np.testing.assert_allclose(points + total, rest, atol=1e-9)


def test_offsets_of_seen_points_lead_to_rest(truth):
    """Points inside triangles, also with the material looked up by nearness."""
    frame = int(np.argmax(truth.performance.lip[:, 0]))
    surface = demo.visible_surface(truth, frame)
    assert len(surface.points) > 0.3 * SIZE * SIZE
    known, near = (
        surface.points
        + sum(
            demo.exact_offset(truth, frame, surface.points, region, material)
            for region in structs.REGIONS
        )
        - surface.rest
        for material in (surface.material, None)
    )
    # The offset is not quite linear inside the triangles of the lips.
    assert np.linalg.norm(known, axis=-1).max() < 1e-3
    assert np.quantile(np.linalg.norm(known, axis=-1), 0.99) < 1e-4
    assert np.mean(np.linalg.norm(near, axis=-1) < 1e-3) > 0.97


def test_offsets_act_on_their_own_material_only(controlled):
    truth, frame = controlled, 90
    points, material = demo.observed_vertices(truth, frame), truth.person.material
    size = {
        region: np.linalg.norm(
            demo.exact_offset(truth, frame, points, region, material), axis=-1
        )
        for region in structs.REGIONS
    }
    skin, torso = material == shapes.SKIN, material == shapes.TORSO
    for region in ("lip", "eye"):
        assert not size[region][~skin].any()
    assert not size["head"][torso].any() and not size["torso"][~torso].any()
    for region in structs.REGIONS:
        assert size[region].max() > 1e-3
    with pytest.raises(ValueError, match="region=nose is none of"):
        demo.exact_offset(truth, frame, points, "nose", material)


def test_no_triangle_bridges_the_opened_mouth_or_eyes(truth):
    person, performance = truth.person, truth.performance
    frame = int(np.argmax(performance.lip[:, 0]))
    moved = render.moved_vertices(person, performance, frame)
    face = person.triangles[(person.triangles < person.parts["face"].stop).all(1)]

    def longest(vertices):
        corners = vertices[face]
        return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(1)

    assert (longest(moved) < 3 * longest(person.vertices) + 1e-4).all()


def test_landmarks_lie_on_the_surface_that_is_seen(cast, truth, renderer):
    """Most landmarks of a frontal face are seen, at the depth of the picture."""
    tracks, frame = cast[0].tracks(), 20
    picture = renderer(frame)
    moved = render.moved_vertices(truth.person, truth.performance, frame)[:468]
    pixels = tracks.landmarks[frame, :468, :2]
    np.testing.assert_allclose(truth.camera.project(moved), pixels, atol=1e-3)
    column, row = np.floor(pixels).astype(int).T
    assert (picture.alpha[row, column] > 0).all()
    behind = np.abs(moved[:, 2] - picture.depth[row, column])
    assert np.mean(behind < 0.006) > 0.9
    relative = tracks.landmarks[frame, :, 2]
    assert relative[1] < relative[33] < relative[127]  # nose, eye corner, temple


def test_silhouette_is_that_of_the_projected_geometry(truth, renderer):
    for frame in (3, 41):
        moved = render.moved_vertices(truth.person, truth.performance, frame)
        pixels = truth.camera.project(moved)
        covered = renderer(frame).alpha > 0
        inside = ((pixels > 0.5) & (pixels < SIZE - 0.5)).all(-1)
        column, row = np.floor(pixels[inside]).astype(int).T
        grown = ndimage.binary_dilation(covered, np.ones((3, 3)))
        assert grown[row, column].all()
        rows = np.flatnonzero(covered.any(1))
        assert abs(rows[0] - pixels[:, 1].min()) < 1.1
        columns = np.flatnonzero(covered.any(0))
        low, high = pixels[inside, 0].min(), pixels[inside, 0].max()
        assert columns[0] >= low - 1.1 and columns[-1] <= high + 1.1


def test_labels_and_regions_partition_the_person(cast, renderer):
    for frame in (0, 33):
        picture = renderer(frame)
        labels, mask = cast[0].labels(frame), cast[0].mask(frame)
        assert set(np.unique(labels)) == {layout.BACKGROUND, layout.TORSO, layout.HEAD}
        np.testing.assert_array_equal(labels > 0, mask >= 127)
        np.testing.assert_array_equal(labels, picture.labels)
        lip, eye, head, torso = np.moveaxis(picture.regions, -1, 0)
        np.testing.assert_allclose(head + torso, picture.alpha, atol=1e-6)
        assert (lip <= head).all() and (eye <= head).all()
        assert (lip > 0).sum() > 30 and (eye > 0).sum() > 20
        assert not ((lip > 0) & (eye > 0)).any()
        assert np.isfinite(picture.depth[picture.alpha > 0]).all()


def test_mouth_in_the_image_opens_as_the_signal_says(cast, truth):
    landmarks = cast[0].tracks().landmarks
    gap = np.linalg.norm(landmarks[:, 14, :2] - landmarks[:, 13, :2], axis=-1)
    metres = truth.performance.head[:, 2, 3] / truth.camera.focal
    np.testing.assert_allclose(gap * metres, truth.performance.lip[:, 0], atol=1.2e-3)


def test_dark_of_the_mouth_grows_with_the_opening(truth, renderer):
    """What shows between the lips is not skin coloured."""
    opening = truth.performance.lip[:, 0]
    person, camera = truth.person, truth.camera
    inner = list(face_mesh.LIPS_INNER)
    areas = []
    for frame in (int(np.argmin(opening)), int(np.argmax(opening))):
        hits = raster.rasterise(
            camera.project(render.moved_vertices(person, truth.performance, frame)),
            render.moved_vertices(person, truth.performance, frame)[:, 2],
            person.triangles,
            (SIZE, SIZE),
        )
        span = person.parts["mouth"]
        first = person.triangles[hits.triangle, 0]
        areas.append(((first >= span.start) & (first < span.stop)).sum())
    moved = render.moved_vertices(person, truth.performance, frame)[inner]
    x, y = camera.project(moved).T
    polygon = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert areas[0] == 0
    assert areas[1] == pytest.approx(polygon, rel=0.35)


def test_eye_ratio_follows_each_lid(controlled):
    from lokitalk_jax.demo import cast as writer

    ratio = writer.tracks(controlled).eye_ratio
    eye = controlled.performance.eye
    for side in range(2):
        assert np.corrcoef(ratio[:, side], eye[:, side])[0, 1] > 0.97
    assert abs(np.corrcoef(eye.T)[0, 1]) < 0.4


def test_poses_are_what_moved_the_points(cast, truth):
    """head_to_camera takes head-frame lips to the pixels of the lip landmarks."""
    tracks = cast[0].tracks()
    lips = render.transform(tracks.head_to_camera, tracks.lips)
    pixels = truth.camera.project(lips)
    np.testing.assert_allclose(
        pixels, tracks.landmarks[:, list(face_mesh.LIPS), :2], atol=1e-3
    )
    moved = render.moved_vertices(truth.person, truth.performance, 5)
    span = truth.person.parts["torso"]
    carried = render.transform(tracks.torso_to_camera[5], truth.person.vertices[span])
    np.testing.assert_allclose(carried, moved[span], atol=1e-5)


def test_rest_is_the_mean_pose_of_training_frames():
    truth, _ = demo.make_truth(0, 8.0, SIZE, 0, demo.MotionStyle())
    performance = truth.performance
    to_rest = np.linalg.inv(performance.rest) @ performance.tracked
    train = layout.train_count(len(to_rest))
    mean = Rotation.from_matrix(to_rest[:train, :3, :3]).mean()
    assert mean.magnitude() < np.radians(0.3)
    assert np.abs(to_rest[:train, :3, 3].mean(0)).max() < 1e-3
    turns = Rotation.from_matrix(to_rest[:, :3, :3]).magnitude()
    assert np.degrees(turns.max()) > 8


def test_pose_error_and_hair_lag_are_as_large_as_asked():
    still = demo.MotionStyle(pose_error=0, hair_lag=0)
    exact = demo.make_truth(0, 4.0, SIZE, 0, still)[0].performance
    np.testing.assert_array_equal(exact.tracked, exact.head)
    np.testing.assert_allclose(exact.hair, exact.head, atol=1e-12)
    wrong = demo.make_truth(0, 4.0, SIZE, 0, CONTROLLED)[0].performance

    def turn(poses):
        return Rotation.from_matrix(poses[:, :3, :3]).magnitude()

    heads = turn(np.linalg.inv(wrong.rest) @ wrong.head)
    errors = turn(np.linalg.inv(wrong.head) @ wrong.tracked)
    lags = turn(np.linalg.inv(wrong.head) @ wrong.hair)
    assert ((errors >= 0.03 * heads - 1e-6) & (errors <= 0.13 * heads + 1e-6)).all()
    assert ((lags >= 0.05 * heads - 1e-6) & (lags <= 0.2 * heads + 1e-6)).all()
    assert lags.max() == pytest.approx(0.2 * np.radians(20), abs=1e-6)


def test_controlled_motion_holds_steps_and_is_independent(controlled):
    performance = controlled.performance
    relative = np.linalg.inv(performance.rest) @ performance.head
    turns = np.degrees(Rotation.from_matrix(relative[:, :3, :3]).as_rotvec())
    for axis in range(3):
        assert turns[:, axis].max() == pytest.approx(20, abs=1e-6)
        assert turns[:, axis].min() == pytest.approx(-20, abs=1e-6)
    held = np.abs(np.diff(turns, axis=0)).max(1) < 1e-9
    assert held.mean() > 0.6
    torso = (np.linalg.inv(performance.rest) @ performance.torso)[:, :3, 3]
    signals = [performance.lip[:, 0], performance.eye[:, 0], turns[:, 1], torso[:, 0]]
    apart = np.abs(np.corrcoef(signals)) - np.eye(4)
    assert apart.max() < 0.5


def test_rasteriser_is_right_in_perspective_and_hides_what_is_behind():
    corners = np.array([[-1, -1, 2.0], [-1, 1.5, 2.0], [1.5, -1, 4.0]])
    wall = np.array([[-5, -5, 3.0], [-5, 15, 3.0], [15, -5, 3.0]])
    vertices = np.concatenate([corners, wall])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    camera = render.Camera(40.0, (16.0, 16.0), 32)
    hits = raster.rasterise(
        camera.project(vertices), vertices[:, 2], triangles, (32, 32)
    )
    assert len(hits.pixel) == 32 * 32 and set(hits.triangle) == {0, 1}
    points = hits.interpolate(vertices, triangles)
    row, column = np.divmod(hits.pixel, 32)
    seen = camera.project(points)
    np.testing.assert_allclose(seen, np.stack([column, row], -1) + 0.5, atol=1e-9)
    np.testing.assert_allclose(points[:, 2], hits.depth)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    front = hits.triangle == 0
    np.testing.assert_allclose((points[front] - corners[0]) @ normal, 0, atol=1e-9)
    # Where the slanted triangle is behind the wall, the wall is seen.
    assert hits.depth[front].max() <= 3
    away = raster.rasterise(
        camera.project(vertices), vertices[:, 2], triangles[:, ::-1], (32, 32)
    )
    assert len(away.pixel) == 0
