"""What each score reacts to: a real clip, spoiled in known ways.

    python -m benchmarks.score_sensitivity --clip=speaker_b.mp4

Prints JSON lines: the scores of each fault at one strength; then, for four strengths of
each fault, how many of their pairs the score that is for it ranks rightly.
"""

import argparse
import itertools
import json
import pathlib

import numpy as np

from benchmarks import faults
from lokitalk_jax import structs
from lokitalk_jax.evaluation import clip_scores, motion_scores
from lokitalk_jax.evaluation.frame_scores import FrameScorer
from lokitalk_jax.evaluation.metrics import aggregate
from lokitalk_jax.preparation import face_model

# The score that is for each fault.
OWN = {
    "small lips": "lip_amplitude",
    "frozen lips": "lmd_px",
    "late": "lip_lag_ms",
    "no closures": "closure",
    "leaking lips": "silence_leakage",
    "wobble": "wobble",
    "jitter": "jitter_px",
    "still head": "head_amplitude",
    "held eyes": "eye_ratio_error",
    "blur": "frame_lpips_alex",
    "blurred mouth": "lip_sharpness",
    "colour cast": "frame_psnr",
    "torso off": "torso_psnr",
    "seam": "lip_seam",
}


def motion(footage: faults.Footage, prediction: np.ndarray) -> dict[str, float]:
    """Scores of landmarks by name."""
    of = footage.landmarks, prediction
    rows = clip_scores.landmark_rows(*of, np.arange(len(prediction)))
    found = aggregate.clip_scores(rows, structs.FPS)
    statistics = motion_scores.statistics(*of, footage.events)
    found |= {name: one.value() for name, one in statistics.items()}
    return _rounded(found)


def pictures(
    footage: faults.Footage, prediction: np.ndarray, scorer: FrameScorer
) -> dict[str, float]:
    """Scores of pictures by name, the region before it."""
    rows = [
        scorer(truth / np.float32(255), picture / np.float32(255), masks)
        for truth, picture, masks in zip(
            footage.pictures, prediction, footage.masks, strict=True
        )
    ]
    found = aggregate.clip_scores(rows, 1)
    del found["intervals"]
    flat = {f"{part}_{key}": x for part, y in found.items() for key, x in y.items()}
    return _rounded(flat)


def _rounded(found: dict) -> dict[str, float]:
    return {k: round(v, 4) for k, v in found.items() if isinstance(v, float | int)}


def ranked_rightly(graded: list[dict], score: str, best: float) -> tuple[int, int]:
    """Pairs of strengths that a score ranks rightly, of all pairs.

    Args:
      graded: scores of each strength, the weakest first.
      score: name of the score.
      best: its value without a fault.
    """
    off = [abs(one.get(score, np.nan) - best) for one in graded]
    pairs = list(itertools.combinations(off, 2))
    return sum(a < b for a, b in pairs), len(pairs)


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--clip", type=pathlib.Path, required=True, help="a video with sound")
    add("--frames", type=int, default=625, help="from its start")
    flags = parser.parse_args()
    model = face_model.find(None)
    assert model is not None, "landmarks need a FaceLandmarker file"
    report(faults.load(flags.clip, model, range(flags.frames)))


def report(footage: faults.Footage) -> None:
    """Prints the lines of a clip."""
    scorer = FrameScorer()
    for title, kinds, same, score in (
        ("motion", faults.MOTION, footage.again, lambda x: motion(footage, x)),
        (
            "pictures",
            faults.PICTURES,
            footage.pictures,
            lambda x: pictures(footage, x, scorer),
        ),
    ):
        none = score(same)
        _print(task=f"faults of {title}", fault="none", **none)
        for fault, (spoil, strength, grades) in kinds.items():
            found = score(spoil(footage, strength))
            _print(task=f"faults of {title}", fault=fault, strength=strength, **found)
            graded = [score(spoil(footage, one)) for one in grades]
            right, pairs = ranked_rightly(graded, OWN[fault], none[OWN[fault]])
            facts = {"own_score": OWN[fault], "pairs": pairs, "ranked_rightly": right}
            _print(task="graded faults", fault=fault, **facts)


def _print(**line) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
