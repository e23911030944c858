"""The scores in the order of the report: titles, digits, meanings."""

from typing import NamedTuple


class Score(NamedTuple):
    """How the report shows a score.

    Attributes:
      key: path in the scores of a clip, such as frame.psnr.
      title: heading of its column.
      digits: decimals.
      better: "higher" or "lower"; empty if neither is better.
      meaning: one sentence; empty for a score of a region.
    """

    key: str
    title: str
    digits: int
    better: str
    meaning: str = ""


FRAME = (
    Score("frame.psnr", "PSNR, dB", 2, "higher", "Peak signal-to-noise ratio."),
    Score("frame.ssim", "SSIM", 4, "higher", "Structural similarity."),
    Score("frame.ms_ssim", "MS-SSIM", 4, "higher", "SSIM at five scales."),
    Score(
        "frame.lpips_alex",
        "LPIPS, AlexNet",
        4,
        "lower",
        "Perceptual distance, learned from human judgements.",
    ),
    Score("frame.lpips_vgg", "LPIPS, VGG16", 4, "lower", "The same by VGG16."),
    Score(
        "lmd_px",
        "LMD, px",
        3,
        "lower",
        "Distance between the mouth landmarks of truth and render, each centred.",
    ),
    Score(
        "lmd_fan_px",
        "LMD by FAN, px",
        3,
        "lower",
        "LMD with the landmark detector that papers use.",
    ),
    Score(
        "frame.cpbd",
        "CPBD",
        3,
        "higher",
        "Share of the render's edges that look sharp; compare with the truth's.",
    ),
    Score("frame.cpbd_truth", "CPBD of truth", 3, "", "The same for the true frames."),
)
REGION = (
    Score("psnr", "PSNR, dB", 2, "higher"),
    Score("ssim", "SSIM", 4, "higher"),
    Score("lpips_alex", "LPIPS", 4, "lower"),
    Score("sharpness", "Sharpness", 3, "higher"),
    Score("sharpness_truth", "Sharpness of truth", 3, ""),
    Score("seam", "Seam, levels", 2, "lower"),
)
FACE = (
    Score("lmd_face", "LMD, face widths", 4, "lower", "LMD divided by the face width."),
    Score(
        "eye_ratio_error",
        "Eye ratio error",
        4,
        "lower",
        "Difference of the eyes' height over width: blinks.",
    ),
    Score(
        "blendshapes_upper",
        "Upper face error",
        4,
        "lower",
        "Summed squared errors of the blendshapes of brows and lids.",
    ),
    Score(
        "blendshapes_lower",
        "Lower face error",
        4,
        "lower",
        "Summed squared errors of the blendshapes of jaw, mouth and cheeks.",
    ),
    Score(
        "shape_error",
        "Face shape error",
        4,
        "lower",
        "Difference of the rigid face shape, in face widths: is it the same person.",
    ),
    Score(
        "jitter_px",
        "Jitter, px",
        3,
        "lower",
        "Second difference of the rigid landmarks; compare with the truth's.",
    ),
    Score("jitter_truth_px", "Jitter of truth", 3, "", "The same for the true frames."),
    Score(
        "missed_faces",
        "Frames without a face",
        0,
        "lower",
        "Frames in which truth or render shows no face; they have no face scores.",
    ),
)
SYNC = (
    Score(
        "sync.correlation",
        "Correlation",
        3,
        "higher",
        "Correlation of the mouth's opening with the opening expected from the sound.",
    ),
    Score(
        "sync.correlation_truth",
        "Correlation of truth",
        3,
        "",
        "The same for the true frames.",
    ),
    Score("sync.lag_ms", "Lag, ms", 0, "", "Delay of the lips; positive if late."),
    Score("sync.lag_ms_truth", "Lag of truth, ms", 0, "", "The true lips' delay."),
    Score("syncnet.sync_c", "Sync-C", 3, "higher", "Confidence of SyncNet."),
    Score("syncnet_truth.sync_c", "Sync-C of truth", 3, "", "The true frames' Sync-C."),
    Score("syncnet.sync_d", "Sync-D", 3, "lower", "Distance of SyncNet's embeddings."),
    Score("syncnet_truth.sync_d", "Sync-D of truth", 3, "", "The true frames' Sync-D."),
)

# Scores that are drawn frame by frame, with the labels of their axes.
CURVES = {
    "frame.psnr": "PSNR, dB",
    "lip.psnr": "PSNR of the lips, dB",
    "frame.lpips_alex": "LPIPS, AlexNet",
    "lmd_px": "LMD, px",
}

# Rows of table 1 (self-reconstruction) of the LokiTalk paper, at 512 pixels.
PUBLISHED = {
    "LokiTalk, the paper": {
        "frame.psnr": 33.744,
        "frame.lpips_alex": 0.029,
        "lmd_px": 2.732,
    },
    "ER-NeRF, in that paper": {
        "frame.psnr": 32.506,
        "frame.lpips_alex": 0.035,
        "lmd_px": 2.917,
    },
}
PUBLISHED_SIZE = 512
