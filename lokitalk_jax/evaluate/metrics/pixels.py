"""Peak signal to noise ratio of frames [H, W, 3] in [0, 1], in float64."""

import numpy as np

# PSNR of equal images, dB, instead of the infinity that JSON cannot hold. Rounding to
# 8 bits alone costs all but 59 dB, so no rendered frame comes near.
PSNR_CAP = 100.0


def psnr_from_mse(mse: float) -> float:
    """Peak signal to noise ratio, dB, of a mean squared error for the peak 1."""
    return float(-10 * np.log10(max(mse, 10 ** (-PSNR_CAP / 10))))


def psnr(truth: np.ndarray, prediction: np.ndarray) -> float:
    """PSNR of one frame, dB, at most `PSNR_CAP`.

    Args:
      truth: [H, W, 3] in [0, 1].
      prediction: [H, W, 3] in [0, 1].

    Raises:
      ValueError: the frames differ in shape or are not in [0, 1].
    """
    check(truth, prediction)
    return psnr_from_mse(squared_error(truth, prediction).mean())


def masked_psnr(
    truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray
) -> float | None:
    """PSNR, dB, of the mean squared error weighted by a mask.

    Args:
      truth: [..., H, W, 3] in [0, 1]; leading axes, such as frames, are pooled.
      prediction: like `truth`.
      mask: [..., H, W], weights of 0 or more.

    Returns:
      The PSNR, at most `PSNR_CAP`; None where the mask is empty.

    Raises:
      ValueError: the shapes do not fit, or the frames are not in [0, 1].
    """
    check(truth, prediction)
    if mask.shape != truth.shape[:-1]:
        raise ValueError(f"mask {mask.shape} does not fit frames {truth.shape}")
    weight = mask.sum(dtype=np.float64)
    if not weight:
        return None
    return psnr_from_mse((squared_error(truth, prediction) * mask).sum() / weight)


def squared_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mean over the channels of the squared difference, float64 [..., H, W]."""
    return ((np.float64(prediction) - np.float64(truth)) ** 2).mean(axis=-1)


def check(truth: np.ndarray, prediction: np.ndarray) -> None:
    """Refuses what cannot be compared.

    Raises:
      ValueError: the frames differ in shape or are not floats in [0, 1].
    """
    if truth.shape != prediction.shape or truth.shape[-1] != 3:
        raise ValueError(
            f"truth {truth.shape} and prediction {prediction.shape} are not RGB "
            "frames of one size"
        )
    for name, frame in ("truth", truth), ("prediction", prediction):
        low, high = frame.min(), frame.max()
        # Rounding may pass 1 by a hair. Written so that NaN fails too.
        inside = low >= -1e-5 and high <= 1 + 1e-5
        if not (inside and np.issubdtype(frame.dtype, np.floating)):
            raise ValueError(
                f"{name} is {frame.dtype} from {low} to {high}; scores take floats in "
                "[0, 1]: divide bytes by 255, clip what was rendered"
            )
