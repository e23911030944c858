import json

import clips
import cv2
import numpy as np
import pytest

from lokitalk_jax import face_mesh
from lokitalk_jax.evaluate.clip_scores import landmark_rows
from lokitalk_jax.evaluate.face_pairs import FacePairs
from lokitalk_jax.evaluate.frame_scores import FrameScorer
from lokitalk_jax.evaluate.metrics import aggregate, cpbd, mouth, psnr, ssim
from lokitalk_jax.media import image_grid, video_reader
from lokitalk_jax.prepare import faces

SHARED = clips.SHARED


def frame(seed, height=24, width=30):
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def slow_ssim(x, y):
    """Wang et al. 2004, equation 13, window by window."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            for channel in range(3):
                a = x[row : row + 11, column : column + 11, channel].astype(float)
                b = y[row : row + 11, column : column + 11, channel].astype(float)
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variance_a = (window * (a - mean_a) ** 2).sum()
                variance_b = (window * (b - mean_b) ** 2).sum()
                covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                values.append(
                    (2 * mean_a * mean_b + 1e-4)
                    * (2 * covariance + 9e-4)
                    / (mean_a**2 + mean_b**2 + 1e-4)
                    / (variance_a + variance_b + 9e-4)
                )
    return np.mean(values)


def test_psnr_of_known_errors():
    grey = np.full((12, 12, 3), 0.5, np.float32)
    assert psnr.psnr(grey, grey + 0.1) == pytest.approx(20, abs=1e-4)
    assert psnr.psnr(0 * grey, 0 * grey + 1) == pytest.approx(0)
    assert psnr.psnr(grey, grey) == psnr.CAP


def test_rounding_to_bytes_stays_below_the_cap():
    truth = frame(0, 64, 64)
    rounded = image_grid.to_uint8(truth) / np.float32(255)
    assert psnr.psnr(truth, rounded) == pytest.approx(58.9, abs=0.3)


def test_masked_psnr_sees_the_mask_alone():
    truth = np.full((2, 8, 8, 3), 0.5, np.float32)
    prediction = truth.copy()
    prediction[0, :, :4] += 0.1
    prediction[1, :, 4:] = 0
    mask = np.zeros((2, 8, 8), np.float32)
    mask[0, :, :4] = 0.7
    assert psnr.masked_psnr(truth, prediction, mask) == pytest.approx(20, abs=1e-4)
    mask[0, :, 4:] = 0.7  # as many pixels again without error: half the mean
    half = 20 + 10 * np.log10(2)
    assert psnr.masked_psnr(truth, prediction, mask) == pytest.approx(half, abs=1e-4)
    assert psnr.masked_psnr(truth, prediction, 0 * mask) is None
    whole = psnr.masked_psnr(truth[0], prediction[0], np.ones((8, 8)))
    assert whole == pytest.approx(psnr.psnr(truth[0], prediction[0]))


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_equals_the_definition(noise):
    truth = frame(0)
    prediction = np.clip(truth + noise * (frame(1) - 0.5), 0, 1)
    wanted = slow_ssim(truth, prediction)
    assert ssim.ssim(truth, prediction) == pytest.approx(wanted, abs=1e-6)


def test_ssim_limits():
    truth = frame(0)
    assert ssim.ssim(truth, truth) == pytest.approx(1, abs=1e-9)
    assert ssim.ssim(truth, 1 - truth) < -0.9
    # Without structure only the luminance term is left.
    black, white = np.zeros((11, 11, 3)), np.ones((11, 11, 3))
    assert ssim.ssim(black, white) == pytest.approx(1e-4 / (1 + 1e-4))
    with pytest.raises(ValueError, match="needs sides of 11 pixels"):
        ssim.ssim(truth[:10], truth[:10])


def textured(height, width, seed):
    """A wavy picture with noise, and a darker, noisier copy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.4 * np.sin(x / (5 + 3 * c) + y / (11 + c)) for c in range(3)]
    truth = np.stack(waves, -1) + 0.05 * rng.standard_normal((height, width, 3))
    truth = np.clip(truth, 0, 1).astype(np.float32)
    noisy = 0.9 * truth + 0.05 + 0.08 * rng.standard_normal((height, width, 3))
    return truth, np.clip(noisy, 0, 1).astype(np.float32)


# What tf.image.ssim and tf.image.ssim_multiscale of TensorFlow 2.21.0 give for
# `textured` pictures with max_val 1.
TENSORFLOW = {
    (176, 192, 0): (0.6474623, 0.9526038),
    (256, 256, 1): (0.6475946, 0.9528334),
    (161, 200, 2): (0.6476738, 0.9529937),
}


@pytest.mark.parametrize("made", TENSORFLOW)
def test_similarity_equals_the_libraries(made):
    truth, noisy = textured(*made)
    single, multiple = TENSORFLOW[made]
    assert ssim.ssim(truth, noisy) == pytest.approx(single, abs=1e-4)
    assert ssim.ms_ssim(truth, noisy) == pytest.approx(multiple, abs=1e-4)
    skimage = pytest.importorskip("skimage.metrics")
    theirs = skimage.structural_similarity(
        truth,
        noisy,
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim.ssim(truth, noisy) == pytest.approx(theirs, abs=1e-4)


def test_scales_that_are_not_there_are_null():
    truth, noisy = textured(160, 200, 0)
    assert ssim.ms_ssim(truth, noisy) is None
    truth, _ = textured(161, 161, 0)
    assert ssim.ms_ssim(truth, truth) == pytest.approx(1)
    assert ssim.ms_ssim(truth, 1 - truth) == 0  # of a negative


def test_sharpness_falls_with_blur_and_needs_edges():
    rng = np.random.default_rng(0)
    blocks = rng.random((16, 16, 3)).repeat(8, 0).repeat(8, 1)
    picture = image_grid.to_uint8(blocks)
    found = [
        cpbd.cpbd(cv2.GaussianBlur(picture, None, sigma) if sigma else picture)
        for sigma in (0, 1, 2)
    ]
    assert found[0] > 0.9 and found[0] > found[1] + 0.1 > found[2]
    assert cpbd.cpbd(np.full((64, 64, 3), 9, np.uint8)) is None
    assert cpbd.cpbd(picture[:63]) is None


def test_edge_widths_of_known_ramps():
    row = np.r_[np.zeros(20), np.linspace(0, 200, 6), np.full(20, 200), np.zeros(18)]
    grey = np.tile(row, (64, 1)).astype(np.int16)
    edges = np.zeros(grey.shape, bool)
    edges[:, [22, 45, 46]] = True
    widths = cpbd._edge_widths(grey, edges)
    assert set(widths[:, 22]) == {5} and set(widths[:, 45]) == {1}
    assert not widths[:, :22].any()


def test_rows_of_frames_add_up_to_the_clip():
    rng = np.random.default_rng(0)
    truth = rng.random((5, 32, 40, 3)).astype(np.float32)
    prediction = np.clip(truth + 0.1 * rng.normal(size=truth.shape), 0, 1)
    prediction = prediction.astype(np.float32)
    regions = rng.random((5, 32, 40, 4)).astype(np.float32)
    regions[:3, ..., 0] = 0  # lips in two frames only
    regions[..., 1] = 0  # eyes nowhere
    prediction[4] = truth[4]
    scorer = FrameScorer()
    rows = [scorer(*of) for of in zip(truth, prediction, regions, strict=True)]
    scores = aggregate.clip_scores(rows, 1)
    assert scores == json.loads(json.dumps(scores, allow_nan=False))
    per_frame = [psnr.psnr(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["psnr"] == pytest.approx(np.mean(per_frame))
    similar = [ssim.ssim(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["ssim"] == pytest.approx(np.mean(similar))
    for name, column in ("lip", 0), ("head", 2), ("torso", 3):
        pooled = psnr.masked_psnr(truth, prediction, regions[..., column])
        assert scores[name]["psnr"] == pytest.approx(pooled)
    assert scores["eye"] == {"psnr": None, "ssim": None, "lpips_alex": None}
    assert scores["frame"]["ms_ssim"] is None and scores["frame"]["cpbd"] is None
    low, high = scores["intervals"]["frame"]["psnr"]
    assert min(per_frame) <= low < scores["frame"]["psnr"] < high <= max(per_frame)
    assert scores["intervals"]["eye"]["psnr"] is None
    # One block tells nothing of how blocks differ.
    assert aggregate.clip_scores(rows, 5)["intervals"]["frame"]["psnr"] is None


def test_a_region_of_everything_scores_as_the_frame():
    truth, prediction = (one[:64, :64] for one in textured(161, 161, 0))
    row = FrameScorer()(truth, prediction, np.ones((64, 64, 4), np.float32))
    for name in "psnr", "ssim", "lpips_alex":
        assert row[f"lip.{name}"] == pytest.approx(row[f"frame.{name}"], rel=1e-4)
    assert row["lip.pixels"] == 64 * 64
    half = np.zeros((64, 64, 4), np.float32)
    half[:, :32, 0], half[:, 32:, 1] = 1, 1
    spoiled = truth.copy()
    spoiled[:, :24] = prediction[:, :24]
    row = FrameScorer()(truth, spoiled, half)
    assert row["lip.lpips_alex"] > 5 * row["eye.lpips_alex"]
    assert row["eye.psnr"] == psnr.CAP > row["lip.psnr"]


def test_intervals_hold_the_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        # A second of frames shares its level, as frames of one word do.
        levels = rng.normal(size=30).repeat(5) + 0.1 * rng.normal(size=150)
        rows = [{"frame.psnr": float(level)} for level in levels]
        low, high = aggregate.clip_scores(rows, 5)["intervals"]["frame"]["psnr"]
        held += low < 0 < high
    assert 0.88 < held / 200 < 0.99


def test_what_would_spoil_a_mean_is_refused():
    with pytest.raises(ValueError, match="no frame was scored"):
        aggregate.clip_scores([], 25)
    truth = frame(0)
    with pytest.raises(ValueError, match="divide bytes by 255"):
        psnr.psnr(truth, image_grid.to_uint8(truth))
    with pytest.raises(ValueError, match="clip rendered colours"):
        psnr.psnr(truth, truth * 2)
    with pytest.raises(ValueError, match="from nan"):
        psnr.psnr(truth, truth * np.nan)
    with pytest.raises(ValueError, match="not RGB frames of one size"):
        psnr.psnr(truth, truth[1:])
    with pytest.raises(ValueError, match="do not fit a frame"):
        FrameScorer()(truth, truth, np.ones((24, 30, 3)))
    with pytest.raises(ValueError, match="not finite"):
        aggregate.clip_scores([{"lpips": np.inf}], 25)
    with pytest.raises(ValueError, match="give every frame the same"):
        aggregate.clip_scores([{"lpips": 1.0}, {"psnr": 1.0}], 25)


class KnownFaces:
    """Gives out prepared faces, one list a call."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def faces(self, rgb):
        return [faces.Face(points) for points in next(self._answers)]


def face(seed=0):
    return 100 * np.random.default_rng(seed).random((478, 3)).astype(np.float32)


def test_mouth_distance_ignores_where_the_mouth_is():
    truth, moved = face(), face() + np.float32([30, -20, 5])

    def distance():
        return mouth.landmark_distance(truth[None], moved[None])[0]

    assert distance() == pytest.approx(0, abs=1e-4)
    # One point of twenty moved by 2 px: it keeps 19/20 of that from the mean, and
    # the others get 1/20 each.
    moved[mouth.POINTS[0], 0] += 2
    wanted = (2 * 19 / 20 + 19 * 2 / 20) / 20
    assert distance() == pytest.approx(wanted, abs=1e-4)
    assert len(set(mouth.POINTS)) == 20 and set(mouth.POINTS) <= set(face_mesh.LIPS)


def found_in(pairs, count):
    rgb = np.zeros((8, 8, 3), np.uint8)
    for _ in range(count):
        pairs.add(rgb, rgb)
    return landmark_rows(pairs, np.arange(count))


def test_missed_faces_are_left_out():
    smile = face()
    smile[mouth.POINTS[0], 0] += 2
    far = face(1) + 500
    pairs = FacePairs(
        (
            KnownFaces([face()], [face()], [], [face()]),
            KnownFaces([far, smile], [], [face()], [face()]),
        )
    )
    rows = found_in(pairs, 4)
    assert rows[0]["lmd_px"] == pytest.approx(0.19, abs=1e-4)  # of the nearer face
    width = np.linalg.norm(face()[234, :2] - face()[454, :2])
    assert rows[0]["lmd_face"] == pytest.approx(0.19 / width, abs=1e-6)
    assert set(rows[1].values()) == set(rows[2].values()) == {None}
    assert rows[3]["lmd_px"] == 0
    summary = aggregate.clip_scores(rows, 1)
    assert summary["lmd_px"] == pytest.approx(0.095, abs=1e-4)


def test_no_face_at_all_is_null_in_json():
    rows = found_in(FacePairs((KnownFaces([]), KnownFaces([]))), 1)
    assert json.dumps(aggregate.clip_scores(rows, 1)["lmd_px"]) == "null"


@pytest.mark.clips
def test_mouth_distance_tells_frames_of_a_real_clip_apart():
    videos = sorted((SHARED / "clips" / "dev").glob("*.mp4"))
    if not videos:
        pytest.skip("the development clips are not here")
    frames = list(zip(range(12), video_reader.read_frames(videos[0]), strict=False))
    with faces.FaceDetector() as first, faces.FaceDetector() as second:
        same = FacePairs((first, second))
        for _, rgb in frames:
            same.add(rgb, rgb)
    with faces.FaceDetector() as first, faces.FaceDetector() as second:
        apart = FacePairs((first, second))
        for _, rgb in frames:
            apart.add(rgb, frames[0][1])
    same, apart = (
        mouth.landmark_distance(p.truth, p.prediction).mean() for p in (same, apart)
    )
    assert same == pytest.approx(0, abs=0.05) and apart > 0.3


def test_side_by_side_keeps_the_pictures():
    panels = {name: image_grid.to_uint8(frame(seed)) for seed, name in enumerate("ab")}
    image = image_grid.side_by_side(panels)
    assert image.shape == (24 + 18, 60, 3)
    np.testing.assert_array_equal(image[18:, :30], panels["a"])
    np.testing.assert_array_equal(image[18:, 30:], panels["b"])
    bar = image[:18]
    assert np.ptp(bar[:, :30]) > 100 and np.ptp(bar[:, 30:]) > 100  # a letter each
    with pytest.raises(ValueError, match="'b' is uint8"):
        image_grid.side_by_side({"a": panels["a"], "b": panels["b"][1:]})


def test_contact_sheet_fills_short_rows():
    picture = image_grid.to_uint8(frame(0))
    sheet = image_grid.contact_sheet(
        [[picture, picture], [picture]], [["", ""], ["a label far too long"]]
    )
    assert sheet.shape == (24 + 18 + 24, 60, 3)
    np.testing.assert_array_equal(sheet[-24:, :30], picture)
    assert np.ptp(sheet[24:, 30:], axis=(0, 1)).max() == 0
    with pytest.raises(ValueError, match="0 rows"):
        image_grid.contact_sheet([], [])
    with pytest.raises(ValueError, match="1 pictures and 2 labels"):
        image_grid.contact_sheet([[picture]], [["a", "b"]])


def test_map_colours():
    maps = np.zeros((4, 5, 4), np.float32)
    maps[0, :, 2] = 1
    maps[1, :, 3] = 0.5
    maps[2] = 1
    image = image_grid.colour_regions(maps)
    assert tuple(image[0, 0]) == image_grid.REGION_COLOURS["head"]
    assert (
        np.abs(image[1, 0] - np.array(image_grid.REGION_COLOURS["torso"]) / 2).max()
        <= 1
    )
    assert tuple(image[2, 0]) == image_grid.REGION_COLOURS["lip"]
    assert not image[3].any()

    depth = np.array([[0.5, 1.0, 1.5, np.nan]])
    opacity = np.array([[1.0, 1.0, 1.0, 0.0]])
    coloured = image_grid.colour_depth(depth, opacity, nearest=0.5, farthest=1.5)
    brightness = coloured.sum(axis=-1, dtype=int)[0]
    assert brightness[0] > brightness[1] > brightness[2] > brightness[3] == 0
    with pytest.raises(ValueError, match="is empty"):
        image_grid.colour_depth(depth, opacity, nearest=1, farthest=1)

    ramp = image_grid.colour_magnitude(np.array([[0, 1.0, 2.0, 9.0]]), largest=2)
    steps = ramp.sum(axis=-1, dtype=int)[0]
    assert steps[0] < steps[1] < steps[2] == steps[3]
    with pytest.raises(ValueError, match="must be positive"):
        image_grid.colour_magnitude(depth, 0)
