"""Scores of the true frames after known changes, as the report shows them."""

from lokitalk_jax.evaluation.report import motion_list, score_list
from lokitalk_jax.evaluation.report.score_list import Score

# The meaning of each row; see `evaluation.reachable`.
ROWS = {
    "retracked": "landmarks of the true frames, found again after the frame moved by "
    "three pixels: no score of landmarks can be expected to be better",
    "recoded": "the true frames after H.264 (crf 23): the best of an encoded video",
    "one_frame_late": "each true frame shown a frame (40 ms) late",
    "nearest_training": "for each frame the training frame that resembles it most",
    "still_mouth": "true landmarks with the lips at rest",
    "shuffled_lips": "true landmarks with the lips of half a clip later: a mouth that "
    "moves rightly at the wrong time",
}
_KEYS = (
    "frame.psnr",
    "frame.ssim",
    "frame.lpips_alex",
    "lmd_px",
    "motion.lip_correlation",
    "motion.lip_concordance",
    "motion.lip_amplitude",
    "motion.lip_lag_ms",
    "motion.closure",
    "motion.silence_leakage",
    "motion.wobble",
)
_KNOWN = {
    one.key: one for one in (*score_list.FRAME, *score_list.FACE, *motion_list.MOTION)
}
_LIPS = Score("lip.psnr", "PSNR of the lips, dB", 2, "higher", "PSNR of their region.")
SCORES = (
    _KNOWN[_KEYS[0]],
    _LIPS,
    *(_KNOWN[key] for key in _KEYS[1:]),
    _KNOWN["eye_ratio_error"],
)
