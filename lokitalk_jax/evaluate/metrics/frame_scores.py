"""The scores of one frame against its truth, whole and by region."""

import functools

import jax
import numpy as np

from lokitalk_jax import lpips, structs
from lokitalk_jax.evaluate.contrib import fan
from lokitalk_jax.evaluate.metrics import pixels, sharpness, similarity
from lokitalk_jax.media import image_grid

Row = dict[str, float | None]

_EDGE = 5  # pixels that a window of SSIM takes from each side


class FrameScorer:
    """Scores frames one by one; compiled once a size."""

    def __init__(self, vgg: bool = False):
        """Loads the weights of LPIPS.

        Args:
          vgg: scores with VGG16 beside AlexNet, which takes ten times as long.
        """
        self._fan = fan.find()
        nets = ("alex", "vgg") if vgg else ("alex",)
        self._nets = {net: jax.device_put(lpips.lpips_params(net)) for net in nets}

    def __call__(
        self, truth: np.ndarray, prediction: np.ndarray, regions: np.ndarray
    ) -> Row:
        """Scores a frame.

        Args:
          truth: float32 [H, W, 3] in [0, 1].
          prediction: float32 [H, W, 3] in [0, 1].
          regions: float32 [H, W, 4] in [0, 1], in the order of `structs.REGIONS`.

        Returns:
          "frame.psnr", "frame.ssim", "frame.ms_ssim", "frame.lpips_alex", "frame.cpbd",
          "frame.cpbd_truth", and of each region "lip.psnr", "lip.ssim",
          "lip.lpips_alex" and "lip.pixels", the size of the region; with VGG also
          "lpips_vgg" of each; where FAN is installed "lmd_fan_px", see `fan`. None
          where a score does not exist: the region is empty, or the frame too small.

        Raises:
          ValueError: the shapes do not fit, values are not in [0, 1], or the frames
            are too small for any score.
        """
        if regions.shape != (*truth.shape[:2], len(structs.REGIONS)):
            raise ValueError(
                f"region masks {regions.shape} do not fit a frame {truth.shape}"
            )
        similar = similarity.ssim_map(truth, prediction)
        error = pixels.squared_error(truth, prediction)
        row: Row = {
            "frame.psnr": pixels.psnr_from_mse(error.mean()),
            "frame.ssim": float(similar.mean()),
            "frame.ms_ssim": similarity.ms_ssim(truth, prediction),
            "frame.cpbd": sharpness.cpbd(image_grid.to_uint8(prediction)),
            "frame.cpbd_truth": sharpness.cpbd(image_grid.to_uint8(truth)),
        }
        inside = regions[_EDGE:-_EDGE, _EDGE:-_EDGE]
        for index, name in enumerate(structs.REGIONS):
            pooled = _mean(error, regions[..., index])
            row[f"{name}.psnr"] = (
                None if pooled is None else pixels.psnr_from_mse(pooled)
            )
            row[f"{name}.ssim"] = _mean(similar, inside[..., index])
            row[f"{name}.pixels"] = float(regions[..., index].sum(dtype=np.float64))
        whole = np.ones((*truth.shape[:2], 1), np.float32)
        masks = np.concatenate([whole, regions], axis=-1)
        for net, params in self._nets.items():
            if min(truth.shape[:2]) < lpips.MIN_SIZE[net]:
                found = np.full(len(structs.REGIONS) + 1, np.nan)
            else:
                batch = (one[None] for one in (truth, prediction, masks))
                found = np.asarray(_region_lpips(params, *batch, net=net)[0])
            for name, value in zip(("frame", *structs.REGIONS), found, strict=True):
                usable = np.isfinite(value)
                row[f"{name}.lpips_{net}"] = float(value) if usable else None
        if self._fan:
            points = (self._fan(image_grid.to_uint8(x)) for x in (truth, prediction))
            row["lmd_fan_px"] = fan.mouth_distance(*points)
        return row


_region_lpips = functools.partial(jax.jit, static_argnames="net")(lpips.region_lpips)


def _mean(values: np.ndarray, weights: np.ndarray) -> float | None:
    total = weights.sum(dtype=np.float64)
    return float((values * weights).sum() / total) if total else None
