"""Image scores of one frame against its truth, and their means over a clip.

Everything here is NumPy in float64, on frames [H, W, 3] in [0, 1] before any video
encoding. The protocol is the field's (ER-NeRF, TalkingGaussian, InsTaG): the PSNR of
the whole frame is the mean over frames of each frame's PSNR. A region's size changes
from frame to frame, so a region pools its squared errors over the clip instead.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from lokitalk_jax import structs

# PSNR of equal images, dB, instead of the infinity that JSON cannot hold. Rounding to
# 8 bits alone costs all but 59 dB, so no rendered frame comes near.
PSNR_CAP = 100.0

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


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
    _check(truth, prediction)
    return psnr_from_mse(_squared_error(truth, prediction).mean())


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
    _check(truth, prediction)
    if mask.shape != truth.shape[:-1]:
        raise ValueError(f"mask {mask.shape} does not fit frames {truth.shape}")
    weight = mask.sum(dtype=np.float64)
    if not weight:
        return None
    return psnr_from_mse((_squared_error(truth, prediction) * mask).sum() / weight)


def ssim(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Structural similarity of one frame (Wang et al. 2004, IEEE TIP 13(4)).

    Gaussian window of 11x11 and sigma 1.5, over windows that lie wholly inside the
    frame, the mean of the colour channels.

    Args:
      truth: [H, W, 3] in [0, 1], at least 11 pixels a side.
      prediction: [H, W, 3] in [0, 1].

    Returns:
      At most 1, which equal frames have.

    Raises:
      ValueError: the frames differ in shape, are too small or not in [0, 1].
    """
    _check(truth, prediction)
    if min(truth.shape[:2]) < _WINDOW:
        raise ValueError(
            f"frames of {truth.shape[0]}x{truth.shape[1]} are too small for SSIM, "
            f"which needs {_WINDOW} pixels a side"
        )
    x, y = np.float64(truth), np.float64(prediction)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())


class RegionMeans:
    """The scores of a clip, gathered frame by frame in memory that does not grow.

    Attributes:
      frame_count: frames added.
    """

    def __init__(self):
        self.frame_count = 0
        self._frame_sums: dict[str, float] = {}
        self._region_error = np.zeros(len(structs.REGIONS))
        self._region_weight = np.zeros(len(structs.REGIONS))

    def add(
        self,
        truth: np.ndarray,
        prediction: np.ndarray,
        regions: np.ndarray,
        more: Mapping[str, float] | None = None,
    ) -> None:
        """Adds a frame.

        Args:
          truth: [H, W, 3] in [0, 1].
          prediction: [H, W, 3] in [0, 1].
          regions: [H, W, 4], image masks in the order of `structs.REGIONS`, each in
            [0, 1].
          more: further scores of the whole frame, such as lpips_alex, to be averaged
            over frames; the same names for every frame.

        Raises:
          ValueError: the shapes do not fit, values are not in [0, 1] or not finite,
            or the names in `more` changed.
        """
        if regions.shape != (*truth.shape[:2], len(structs.REGIONS)):
            raise ValueError(
                f"region masks {regions.shape} do not fit a frame {truth.shape}"
            )
        scores = {
            "psnr": psnr(truth, prediction),
            "ssim": ssim(truth, prediction),
            **(more or {}),
        }
        if self.frame_count and scores.keys() != self._frame_sums.keys():
            raise ValueError(
                f"frame {self.frame_count} has the scores {sorted(scores)}, those "
                f"before it {sorted(self._frame_sums)}; give every frame the same"
            )
        unusable = [name for name, score in scores.items() if not np.isfinite(score)]
        if unusable:
            raise ValueError(f"frame {self.frame_count}: {unusable} are not finite")
        for name, score in scores.items():
            self._frame_sums[name] = self._frame_sums.get(name, 0.0) + float(score)
        error = _squared_error(truth, prediction)
        self._region_error += np.tensordot(error, np.float64(regions), 2)
        self._region_weight += regions.sum(axis=(0, 1), dtype=np.float64)
        self.frame_count += 1

    def result(self) -> dict[str, dict[str, float | None]]:
        """The means so far, ready for JSON.

        Returns:
          {"frame": {"psnr", "ssim", and the names in `more`}, and for each region its
          name: {"psnr"}}; None for a region that was nowhere in the clip.

        Raises:
          ValueError: no frame was added.
        """
        if not self.frame_count:
            raise ValueError("no frame was scored; the range of frames is empty")
        scores = {
            "frame": {
                name: total / self.frame_count
                for name, total in self._frame_sums.items()
            }
        }
        for name, error, weight in zip(
            structs.REGIONS, self._region_error, self._region_weight, strict=True
        ):
            scores[name] = {"psnr": psnr_from_mse(error / weight) if weight else None}
        return scores


def _squared_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return ((np.float64(prediction) - np.float64(truth)) ** 2).mean(axis=-1)


def _window_mean(image: np.ndarray) -> np.ndarray:
    edge = _WINDOW // 2
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    return blurred[edge:-edge, edge:-edge]


def _check(truth: np.ndarray, prediction: np.ndarray) -> None:
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
