import cv2
import numpy as np
import pytest

from lokitalk_jax.evaluation.metrics import cpbd, psnr, seam, sharpness, ssim
from lokitalk_jax.media import image_grid


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
    with pytest.raises(ValueError, match="sides of at least 11 pixels"):
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
    assert ssim.similarity(truth, noisy)[1] == pytest.approx(multiple, abs=1e-4)
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
    assert ssim.similarity(truth, noisy)[1] is None
    truth, _ = textured(161, 161, 0)
    assert ssim.similarity(truth, truth)[1] == pytest.approx(1)
    assert ssim.similarity(truth, 1 - truth)[1] == 0  # of a negative


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


def test_frames_that_cannot_be_compared_are_refused():
    truth = frame(0)
    for prediction, message in (
        (image_grid.to_uint8(truth), "divide bytes by 255"),
        (truth * 2, "clip rendered colours"),
        (truth * np.nan, "from nan"),
        (truth[1:], "must be RGB frames of one size"),
    ):
        with pytest.raises(ValueError, match=message):
            psnr.psnr(truth, prediction)


def photograph(size=96, seed=0):
    """Smooth shapes with detail, uint8 [S, S, 3]."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((12, 12)), (size, size))
    fine = 0.05 * rng.random((size, size))
    grey = np.uint8(255 * (0.1 + 0.3 * coarse + fine))
    return np.repeat(grey[..., None], 3, -1)


def test_sharpness_falls_with_blur_where_it_is_blurred():
    def sharpness_of(picture):
        return sharpness.within(sharpness.detail_lost(picture), masks)

    frame = photograph()
    masks = np.zeros((96, 96, 3), np.float32)
    masks[30:60, 30:60, 0] = masks[..., 1] = 1
    found = [sharpness_of(frame)]
    assert found[0][2] is None  # of an empty mask
    for sigma in (0.7, 1.5):
        soft = cv2.GaussianBlur(frame, None, sigma)
        found.append(sharpness_of(soft))
        elsewhere = np.where(masks[..., :1] > 0, frame, soft)
        inside, whole, _ = sharpness_of(elsewhere)
        assert inside == pytest.approx(found[0][0], abs=0.05)
        assert whole < found[0][1] - 0.05
    for sharp, soft, softer in np.array(found)[:, :2].T:
        assert sharp > soft + 0.05 > softer + 0.1
    assert sharpness_of(0 * frame) == [None] * 3


def test_a_seam_is_the_height_of_its_step():
    truth = photograph()
    mask = np.zeros((96, 96), np.float32)
    mask[24:72, 24:72] = 1
    line = seam.border(mask)

    def height(prediction):
        return seam.height(seam.error(truth, prediction), mask, line)

    assert height(truth) == 0
    stepped = np.uint8(truth + 12 * mask[..., None])
    assert height(stepped) == pytest.approx(12, abs=0.5)
    # Along one side only, and brighter on one side, darker on the other.
    column = np.arange(96)
    half = np.uint8(truth + 12 * mask[..., None] * (column > 48)[None, :, None])
    assert 4 < height(half) < 8
    slope = (column - 47.5)[None, :, None] / 24
    assert height(np.uint8(truth + 12 * mask[..., None] * slope)) > 4
    tinted = np.uint8(np.clip(truth * [1.1, 1, 0.9], 0, 255))
    noisy = truth + np.random.default_rng(1).integers(0, 6, truth.shape, np.uint8)
    for other in cv2.GaussianBlur(truth, None, 1), tinted, noisy, truth + 9:
        assert height(other) < 1
    assert seam.height(line * 1, mask * 0, seam.border(mask * 0)) is None


def test_head_and_torso_meet_at_the_neck():
    head, torso = np.zeros((2, 40, 40), np.float32)
    head[5:20, 10:30] = 1
    torso[20:, 5:35] = 1
    found = seam.border(head, torso)
    rows, columns = np.nonzero(found)
    assert rows.min() >= 16 and columns.min() >= 9 and found.sum() >= 20
    assert not seam.border(head, 0 * torso).any()
