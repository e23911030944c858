"""All image scores of a frame, whole and by region."""

import functools
from typing import Any

import jax
import numpy as np

from lokitalk_jax import lpips, structs
from lokitalk_jax.evaluation.contrib import fan
from lokitalk_jax.evaluation.metrics import cpbd, psnr, seam, sharpness, ssim
from lokitalk_jax.evaluation.metrics.aggregate import Row
from lokitalk_jax.media import image_grid

_PLACES = "frame", *structs.REGIONS
_EDGE = 5  # pixels at each side that are the centre of no window of SSIM


class FrameScorer:
    """Scores frames one by one; LPIPS is compiled once for each frame size."""

    def __init__(self, vgg: bool = False):
        """Loads the networks.

        Args:
          vgg: adds LPIPS by VGG16, which takes ten times as long as AlexNet.
        """
        self._fan = fan.find()
        nets: tuple[lpips.Net, ...] = ("alex", "vgg") if vgg else ("alex",)
        self._nets = {net: _weights(net) for net in nets}

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
          "frame.cpbd_truth", "frame.sharpness", "frame.sharpness_truth"; for each
          region, here the lips, "lip.psnr", "lip.ssim", "lip.lpips_alex",
          "lip.sharpness", "lip.sharpness_truth", "lip.seam" (that of the head lies
          where the torso begins; the torso has none) and "lip.pixels", the region's
          size; with VGG also
          "lpips_vgg" of frame and regions; with FAN "lmd_fan_px". None for a score
          that does not exist: the region is empty, or the frame is too small.

        Raises:
          ValueError: the shapes do not fit, values are not in [0, 1], or the frames
            are too small for SSIM.
        """
        if regions.shape != (*truth.shape[:2], len(structs.REGIONS)):
            raise ValueError(
                f"regions {regions.shape} do not fit truth {truth.shape}; give "
                f"[H, W, {len(structs.REGIONS)}]"
            )
        similar, multiscale = ssim.similarity(truth, prediction)
        error = psnr.squared_error(truth, prediction)
        truth_bytes, prediction_bytes = map(image_grid.to_uint8, (truth, prediction))
        row: Row = {
            "frame.psnr": psnr.from_mse(error.mean()),
            "frame.ssim": float(similar.mean()),
            "frame.ms_ssim": multiscale,
            "frame.cpbd": cpbd.cpbd(prediction_bytes),
            "frame.cpbd_truth": cpbd.cpbd(truth_bytes),
        }
        whole = np.ones((*truth.shape[:2], 1), np.float32)
        masks = np.concatenate([whole, regions], axis=-1)
        row |= _sharpness(truth_bytes, prediction_bytes, masks)
        row |= _seams(truth_bytes, prediction_bytes, regions)
        inside = regions[_EDGE:-_EDGE, _EDGE:-_EDGE]
        for index, name in enumerate(structs.REGIONS):
            mse = psnr.weighted_mean(error, regions[..., index])
            row[f"{name}.psnr"] = None if mse is None else psnr.from_mse(mse)
            row[f"{name}.ssim"] = psnr.weighted_mean(similar, inside[..., index])
            row[f"{name}.pixels"] = float(regions[..., index].sum(dtype=np.float64))
        for net, weights in self._nets.items():
            found = np.full(masks.shape[-1], np.nan)
            if min(truth.shape[:2]) >= lpips.MIN_SIZE[net]:
                batch = (one[None] for one in (truth, prediction, masks))
                found = np.asarray(_region_lpips(weights, *batch, net=net)[0])
            for name, value in zip(_PLACES, found, strict=True):
                row[f"{name}.lpips_{net}"] = float(value) if value == value else None
        if self._fan:
            points = self._fan(truth_bytes), self._fan(prediction_bytes)
            row["lmd_fan_px"] = fan.mouth_distance(*points)
        return row


def _sharpness(truth: np.ndarray, prediction: np.ndarray, masks: np.ndarray) -> Row:
    """Sharpness of frames uint8 [H, W, 3] in masks [H, W, 5] of `_PLACES`."""
    row: Row = {}
    for ending, frame in ("", prediction), ("_truth", truth):
        found = sharpness.within(sharpness.detail_lost(frame), masks)
        for name, value in zip(_PLACES, found, strict=True):
            row[f"{name}.sharpness{ending}"] = value
    return row


def _seams(truth: np.ndarray, prediction: np.ndarray, regions: np.ndarray) -> Row:
    """Seams of a prediction uint8 [H, W, 3] along its regions, see `FrameScorer`."""
    row: Row = {}
    masks = {name: regions[..., i] for i, name in enumerate(structs.REGIONS)}
    difference = seam.error(truth, prediction)
    for name, other in ("lip", None), ("eye", None), ("head", masks["torso"]):
        line = seam.border(masks[name], other)
        row[f"{name}.seam"] = seam.height(difference, masks[name], line)
    return row


_region_lpips = functools.partial(jax.jit, static_argnames="net")(lpips.region_lpips)


@functools.cache
def _weights(net: lpips.Net) -> Any:
    """Weights of LPIPS on the device."""
    return jax.device_put(lpips.lpips_params(net))
