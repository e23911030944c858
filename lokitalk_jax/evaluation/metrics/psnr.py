"""Peak signal-to-noise ratio (PSNR) of frames [H, W, 3] in [0, 1], in float64."""

import numpy as np

# PSNR of equal images, dB, instead of the infinity that JSON cannot hold. Rounding to
# 8 bits alone gives about 59 dB, so no rendered frame comes near.
CAP = 100.0


def from_mse(mse: float) -> float:
    """PSNR, dB, of a mean squared error for the peak 1; at most `CAP`."""
    return float(-10 * np.log10(max(mse, 10 ** (-CAP / 10))))


def psnr(truth: np.ndarray, prediction: np.ndarray) -> float:
    """PSNR of one frame, dB, at most `CAP`.

    Args:
      truth: [H, W, 3] in [0, 1].
      prediction: [H, W, 3] in [0, 1].

    Raises:
      ValueError: the frames differ in shape or are not in [0, 1].
    """
    check_frames(truth, prediction)
    return from_mse(squared_error(truth, prediction).mean())


def squared_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Squared difference of frames [..., H, W, 3]; mean of channels, [..., H, W]."""
    return ((np.float64(prediction) - np.float64(truth)) ** 2).mean(axis=-1)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float | None:
    """Mean of values [...] by weights [...] of 0 or more; None if all are 0."""
    total = weights.sum(dtype=np.float64)
    return float((values * weights).sum() / total) if total else None


def check_frames(truth: np.ndarray, prediction: np.ndarray) -> None:
    """Checks that two frames [H, W, 3] can be compared.

    Raises:
      ValueError: the frames differ in shape or are not floats in [0, 1].
    """
    if truth.shape != prediction.shape or truth.shape[-1] != 3:
        raise ValueError(
            f"truth {truth.shape} and prediction {prediction.shape} must be RGB frames "
            "of one size; scale one of them"
        )
    for name, frame in ("truth", truth), ("prediction", prediction):
        low, high = frame.min(), frame.max()
        # Rounding may exceed 1 slightly. Written so that NaN fails too.
        inside = low >= -1e-5 and high <= 1 + 1e-5
        if not (inside and np.issubdtype(frame.dtype, np.floating)):
            raise ValueError(
                f"{name} is {frame.dtype} from {low} to {high}; scores take floats in "
                "[0, 1]: divide bytes by 255, clip rendered colours"
            )
