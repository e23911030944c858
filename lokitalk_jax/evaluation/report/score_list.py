"""The scores in the order of the report, as `scores.csv` lists them."""

import csv
import pathlib
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


def _read() -> dict[str, tuple[Score, ...]]:
    """The scores of each table."""
    tables: dict[str, tuple[Score, ...]] = {}
    path = pathlib.Path(__file__).with_name("scores.csv")
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table, digits = row.pop("table"), int(row.pop("digits"))
            tables[table] = (*tables.get(table, ()), Score(digits=digits, **row))
    return tables


TABLES = _read()

# The meaning of each row; see `evaluation.reachable`.
REACHABLE_ROWS = {
    "retracked": "landmarks of the true frames, found again after the frame moved by "
    "three pixels: no score of landmarks can be expected to be better",
    "recoded": "the true frames after H.264 (crf 23): the best of an encoded video",
    "one_frame_late": "each true frame shown a frame (40 ms) late",
    "nearest_training": "for each frame the training frame that resembles it most",
    "still_mouth": "true landmarks with the lips at rest",
    "shuffled_lips": "true landmarks with the lips of half a clip later: a mouth that "
    "moves rightly at the wrong time",
}
_REACHABLE = (
    "frame.psnr",
    "lip.psnr",
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
    "eye_ratio_error",
)
_KNOWN = {one.key: one for table in TABLES.values() for one in table}
REACHABLE = tuple(_KNOWN[key] for key in _REACHABLE)

# Values that are drawn frame by frame, with the labels of their axes.
CURVES = {
    "opening": "Mouth opening, face widths",
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
