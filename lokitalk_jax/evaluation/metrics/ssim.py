"""Structural similarity at one scale (SSIM) and at five (MS-SSIM), in float64."""

import cv2
import numpy as np

from lokitalk_jax.evaluation.metrics.psnr import check_frames

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2

# Exponents of the scales, finest first (Wang et al. 2003, section 3.2).
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Smallest side, pixels, whose fifth scale still holds a window.
MS_SSIM_MIN_SIZE = (_WINDOW - 1) * 2 ** (len(_SCALES) - 1) + 1


def similarity(
    truth: np.ndarray, prediction: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Structural similarity around each pixel, and at five scales.

    SSIM is that of Wang et al. 2004, IEEE TIP 13(4), with a Gaussian window of 11x11
    and sigma 1.5; MS-SSIM that of Wang, Simoncelli and Bovik 2003, the mean of the
    three channels' scores. The finest scale of MS-SSIM is SSIM, so both are computed
    together. Each scale halves the one before it by the mean of 2x2 pixels; an odd last
    row or column is repeated.

    Args:
      truth: [H, W, 3] in [0, 1], sides of at least 11 pixels.
      prediction: [H, W, 3] in [0, 1].

    Returns:
      SSIM [H - 10, W - 10], at most 1: mean of the colour channels, for each window
      that lies inside the frame; and MS-SSIM, at most 1, None for frames with a side
      below `MS_SSIM_MIN_SIZE` pixels, which have no fifth scale.

    Raises:
      ValueError: the frames differ in shape, are too small or not in [0, 1].
    """
    check_frames(truth, prediction)
    if min(truth.shape[:2]) < _WINDOW:
        raise ValueError(
            f"truth is {truth.shape[1]}x{truth.shape[0]} pixels, too small for SSIM; "
            f"give sides of at least {_WINDOW} pixels"
        )
    x, y = truth.astype(np.float64), prediction.astype(np.float64)
    luminance, structure = _terms(x, y)
    single = (luminance * structure).mean(axis=-1)
    if min(truth.shape[:2]) < MS_SSIM_MIN_SIZE:
        return single, None
    # A negative structure has no fractional power; it counts as 0.
    product = np.maximum(structure.mean(axis=(0, 1)), 0) ** _SCALES[0]
    for scale, exponent in enumerate(_SCALES[1:], 1):
        x, y = _halved(x), _halved(y)
        luminance, structure = _terms(x, y)
        last = scale == len(_SCALES) - 1
        term = luminance * structure if last else structure
        product *= np.maximum(term.mean(axis=(0, 1)), 0) ** exponent
    return single, float(product.mean())


def ssim(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of SSIM of frames [H, W, 3], see `similarity`; 1 for equal frames."""
    return float(similarity(truth, prediction)[0].mean())


def _terms(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, [H - 10, W - 10, 3]."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return luminance, (2 * covariance + _C2) / (variance_x + variance_y + _C2)


def _window_mean(image: np.ndarray) -> np.ndarray:
    edge = _WINDOW // 2
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    return blurred[edge:-edge, edge:-edge]


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (
        image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]
    ) / 4
