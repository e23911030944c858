import json
import pathlib

import numpy as np
import pytest

from lokitalk_jax import video_io
from lokitalk_jax.evaluate import landmarks, metrics, sheets
from lokitalk_jax.prepare import faces

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


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
    assert metrics.psnr(grey, grey + 0.1) == pytest.approx(20, abs=1e-4)
    assert metrics.psnr(0 * grey, 0 * grey + 1) == pytest.approx(0)
    assert metrics.psnr(grey, grey) == metrics.PSNR_CAP


def test_rounding_to_bytes_stays_below_the_cap():
    truth = frame(0, 64, 64)
    rounded = sheets.to_uint8(truth) / np.float32(255)
    assert metrics.psnr(truth, rounded) == pytest.approx(58.9, abs=0.3)


def test_masked_psnr_sees_the_mask_alone():
    truth = np.full((2, 8, 8, 3), 0.5, np.float32)
    prediction = truth.copy()
    prediction[0, :, :4] += 0.1
    prediction[1, :, 4:] = 0
    mask = np.zeros((2, 8, 8), np.float32)
    mask[0, :, :4] = 0.7
    assert metrics.masked_psnr(truth, prediction, mask) == pytest.approx(20, abs=1e-4)
    mask[0, :, 4:] = 0.7  # as many pixels again without error: half the mean
    half = 20 + 10 * np.log10(2)
    assert metrics.masked_psnr(truth, prediction, mask) == pytest.approx(half, abs=1e-4)
    assert metrics.masked_psnr(truth, prediction, 0 * mask) is None
    whole = metrics.masked_psnr(truth[0], prediction[0], np.ones((8, 8)))
    assert whole == pytest.approx(metrics.psnr(truth[0], prediction[0]))


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_equals_the_definition(noise):
    truth = frame(0)
    prediction = np.clip(truth + noise * (frame(1) - 0.5), 0, 1)
    wanted = slow_ssim(truth, prediction)
    assert metrics.ssim(truth, prediction) == pytest.approx(wanted, abs=1e-6)


def test_ssim_limits():
    truth = frame(0)
    assert metrics.ssim(truth, truth) == pytest.approx(1, abs=1e-9)
    assert metrics.ssim(truth, 1 - truth) < -0.9
    # Without structure only the luminance term is left.
    black, white = np.zeros((11, 11, 3)), np.ones((11, 11, 3))
    assert metrics.ssim(black, white) == pytest.approx(1e-4 / (1 + 1e-4))
    with pytest.raises(ValueError, match="needs 11 pixels"):
        metrics.ssim(truth[:10], truth[:10])


def test_means_over_a_clip():
    rng = np.random.default_rng(0)
    truth = rng.random((5, 16, 20, 3)).astype(np.float32)
    prediction = np.clip(truth + 0.1 * rng.normal(size=truth.shape), 0, 1)
    regions = rng.random((5, 16, 20, 4)).astype(np.float32)
    regions[:3, ..., 0] = 0  # lips in two frames only
    regions[..., 1] = 0  # eyes nowhere
    prediction[4] = truth[4]
    means = metrics.RegionMeans()
    for index in range(5):
        more = {"lpips_alex": 0.1 * index}
        means.add(truth[index], prediction[index], regions[index], more)
    scores = json.loads(json.dumps(means.result(), allow_nan=False))
    per_frame = [metrics.psnr(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["psnr"] == pytest.approx(np.mean(per_frame))
    assert scores["frame"]["lpips_alex"] == pytest.approx(0.2)
    similar = [metrics.ssim(*pair) for pair in zip(truth, prediction, strict=True)]
    assert scores["frame"]["ssim"] == pytest.approx(np.mean(similar))
    for name, column in ("lip", 0), ("head", 2), ("torso", 3):
        pooled = metrics.masked_psnr(truth, prediction, regions[..., column])
        assert scores[name] == {"psnr": pytest.approx(pooled)}
    assert scores["eye"] == {"psnr": None}
    assert means.frame_count == 5


def test_what_would_spoil_a_mean_is_refused():
    means, truth, regions = metrics.RegionMeans(), frame(0), np.ones((24, 30, 4))
    with pytest.raises(ValueError, match="no frame was scored"):
        means.result()
    with pytest.raises(ValueError, match="divide bytes by 255"):
        means.add(truth, sheets.to_uint8(truth), regions)
    with pytest.raises(ValueError, match="clip what was rendered"):
        means.add(truth, truth * 2, regions)
    with pytest.raises(ValueError, match="from nan"):
        means.add(truth, truth * np.nan, regions)
    with pytest.raises(ValueError, match="not RGB frames of one size"):
        means.add(truth, truth[1:], regions)
    with pytest.raises(ValueError, match="do not fit"):
        means.add(truth, truth, regions[..., :3])
    with pytest.raises(ValueError, match="not finite"):
        means.add(truth, truth, regions, {"lpips_alex": np.inf})
    means.add(truth, truth, regions)
    with pytest.raises(ValueError, match="give every frame the same"):
        means.add(truth, truth, regions, {"lpips_alex": 0.1})
    assert means.frame_count == 1


class KnownFaces:
    """Gives out prepared faces, one list a call."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def detect(self, rgb):
        return next(self._answers)


def face(seed=0):
    return 100 * np.random.default_rng(seed).random((478, 3)).astype(np.float32)


def test_mouth_distance_ignores_where_the_mouth_is():
    truth, moved = face(), face() + np.float32([30, -20, 5])
    assert landmarks.mouth_distance(truth, moved) == pytest.approx(0, abs=1e-4)
    # One point of twenty moved by 2 px: it keeps 19/20 of that from the mean, and
    # the others get 1/20 each.
    moved[landmarks.MOUTH[0], 0] += 2
    wanted = (2 * 19 / 20 + 19 * 2 / 20) / 20
    assert landmarks.mouth_distance(truth, moved) == pytest.approx(wanted, abs=1e-4)
    assert len(set(landmarks.MOUTH)) == 20 and set(landmarks.MOUTH) <= set(faces.LIPS)


def test_missed_faces_are_counted_and_left_out():
    smile = face()
    smile[landmarks.MOUTH[0], 0] += 2
    far = face(1) + 500
    distances = landmarks.MouthDistances(
        KnownFaces([face()], [face()], [], [face()]),
        KnownFaces([far, smile], [], [face()], [face()]),
    )
    rgb = np.zeros((8, 8, 3), np.uint8)
    results = [distances.add(rgb, rgb) for _ in range(4)]
    assert results[0] == pytest.approx(0.19, abs=1e-4)  # of the nearer face
    assert results[1:3] == [None, None]
    assert results[3] == 0
    summary = distances.result()
    assert summary == {"lmd_px": pytest.approx(0.095, abs=1e-4), "missed_faces": 2}


def test_no_face_at_all_is_null_in_json():
    distances = landmarks.MouthDistances(KnownFaces([]), KnownFaces([]))
    distances.add(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))
    assert json.dumps(distances.result()) == '{"lmd_px": null, "missed_faces": 1}'


@pytest.mark.clips
def test_mouth_distance_tells_frames_of_a_real_clip_apart():
    clips = sorted((SHARED / "clips" / "dev").glob("*.mp4"))
    if not clips:
        pytest.skip("the development clips are not here")
    frames = list(zip(range(12), video_io.read_frames(clips[0]), strict=False))
    with faces.FaceDetector() as first, faces.FaceDetector() as second:
        same = landmarks.MouthDistances(first, second)
        for _, rgb in frames:
            same.add(rgb, rgb)
    with faces.FaceDetector() as first, faces.FaceDetector() as second:
        apart = landmarks.MouthDistances(first, second)
        for _, rgb in frames:
            apart.add(rgb, frames[0][1])
    assert same.result() == {"lmd_px": pytest.approx(0, abs=0.05), "missed_faces": 0}
    assert apart.result()["lmd_px"] > 0.3


def test_side_by_side_keeps_the_pictures():
    panels = {name: sheets.to_uint8(frame(seed)) for seed, name in enumerate("ab")}
    image = sheets.side_by_side(panels)
    assert image.shape == (24 + 18, 60, 3)
    np.testing.assert_array_equal(image[18:, :30], panels["a"])
    np.testing.assert_array_equal(image[18:, 30:], panels["b"])
    bar = image[:18]
    assert np.ptp(bar[:, :30]) > 100 and np.ptp(bar[:, 30:]) > 100  # a letter each
    with pytest.raises(ValueError, match="'b' is uint8"):
        sheets.side_by_side({"a": panels["a"], "b": panels["b"][1:]})


def test_contact_sheet_fills_short_rows():
    picture = sheets.to_uint8(frame(0))
    sheet = sheets.contact_sheet(
        [[picture, picture], [picture]], [["", ""], ["a label far too long"]]
    )
    assert sheet.shape == (24 + 18 + 24, 60, 3)
    np.testing.assert_array_equal(sheet[-24:, :30], picture)
    assert np.ptp(sheet[24:, 30:], axis=(0, 1)).max() == 0
    with pytest.raises(ValueError, match="0 rows"):
        sheets.contact_sheet([], [])
    with pytest.raises(ValueError, match="1 pictures and 2 labels"):
        sheets.contact_sheet([[picture]], [["a", "b"]])


def test_map_colours():
    maps = np.zeros((4, 5, 4), np.float32)
    maps[0, :, 2] = 1
    maps[1, :, 3] = 0.5
    maps[2] = 1
    image = sheets.colour_regions(maps)
    assert tuple(image[0, 0]) == sheets.REGION_COLOURS["head"]
    assert np.abs(image[1, 0] - np.array(sheets.REGION_COLOURS["torso"]) / 2).max() <= 1
    assert tuple(image[2, 0]) == sheets.REGION_COLOURS["lip"]
    assert not image[3].any()

    depth = np.array([[0.5, 1.0, 1.5, np.nan]])
    opacity = np.array([[1.0, 1.0, 1.0, 0.0]])
    coloured = sheets.colour_depth(depth, opacity, nearest=0.5, farthest=1.5)
    brightness = coloured.sum(axis=-1, dtype=int)[0]
    assert brightness[0] > brightness[1] > brightness[2] > brightness[3] == 0
    with pytest.raises(ValueError, match="is empty"):
        sheets.colour_depth(depth, opacity, nearest=1, farthest=1)

    ramp = sheets.colour_magnitude(np.array([[0, 1.0, 2.0, 9.0]]), largest=2)
    steps = ramp.sum(axis=-1, dtype=int)[0]
    assert steps[0] < steps[1] < steps[2] == steps[3]
    with pytest.raises(ValueError, match="must be positive"):
        sheets.colour_magnitude(depth, 0)
