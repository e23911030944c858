r"""The cells of `benchmarks.prior_benefit` as lines to record.

    python -m benchmarks.prior_benefit_lines runs/transfer \
        | python -m benchmarks.record --experiment=transfer ... -

A line for the end of each cell; for each cell of a prior one with its difference from
scratch on the same video; for each method and length of video one with the mean of
these differences and its 95% interval over people; where both stretches were taken,
one with the difference of the best from the first, and where both starts were, one with
that of the mean from the encoder. For each method a line for each number of steps, with
mean scores and their difference from scratch, and one with what would be gained by
stopping where the head is best, which only the held-out frames tell.
"""

import argparse
import json
import pathlib

import numpy as np
from scipy import stats

from benchmarks import prior_benefit_report
from benchmarks.learning_curve import cost_to

_SCORES = {key: f"{key}_psnr" for key in ("frame", "head", "lip")}
_SCORES |= {"lpips": "frame_lpips_alex", "lmd_px": "lmd_px"}
_PSNR = ("frame", "head", "lip")
_DIGITS = {"lpips": 4, "lmd_px": 3}


def last(cell: dict) -> dict:
    """Scores at the end of a cell, and the head before training."""
    first, end = cell["curve"][0], cell["curve"][-1]
    return {
        "steps": end["step"],
        "cpu_s": round(end["cpu_seconds"], 1),
        "head_psnr_before_training": round(first["head"], 2),
        "frame_psnr": round(end["frame"], 2),
        "head_psnr": round(end["head"], 2),
        "lip_psnr": round(end["lip"], 2),
        "frame_lpips_alex": round(end["lpips"], 4),
        "lmd_px": end["lmd_px"] and round(end["lmd_px"], 3),
    }


def change(cell: dict, scratch: dict) -> dict:
    """What a cell is better by than another; share of its time to the same head."""
    one, other = cell["curve"], scratch["curve"]
    found = {
        f"{name}_change": one[-1][key] - other[-1][key]
        for key, name in _SCORES.items()
        if None not in (one[-1][key], other[-1][key])
    }
    best = [max(point["head"] for point in curve) for curve in (one, other)]
    found["best_head_psnr_change"] = best[0] - best[1]
    cost = cost_to(one, other[-1]["head"])
    whole = other[-1]["cpu_seconds"]
    found["share_of_scratch"] = None if cost is None else cost / whole
    return found


def on_the_way(cell: dict, other: dict | None) -> dict[int, dict]:
    """By number of steps, scores of a cell and their difference from another's."""
    found = {}
    others = {} if other is None else {one["step"]: one for one in other["curve"]}
    for point in cell["curve"]:
        found[point["step"]] = {f"{key}_psnr": point[key] for key in _PSNR}
        if point["step"] in others:
            at = others[point["step"]]
            found[point["step"]] |= {
                f"{key}_psnr_change": point[key] - at[key] for key in _PSNR
            }
    return found


def best_stop(cell: dict) -> dict:
    """What is gained over the last step where the head is best."""
    end = cell["curve"][-1]
    best = max(cell["curve"], key=lambda point: point["head"])
    changes = {f"{key}_psnr_change": best[key] - end[key] for key in _PSNR}
    return changes | {"stops_early": float(best["step"] < end["step"])}


def mean(changes: list[dict]) -> dict:
    """Means of changes over people, with 95% intervals where there are several.

    A person who never reaches the head of scratch counts as 1 in `share_of_scratch`.
    """
    found = {"people": len(changes)}
    for key in dict.fromkeys(key for one in changes for key in one):
        values = [one[key] for one in changes if key in one]
        values = [1.0 if value is None else value for value in values]
        found[key] = float(np.mean(values))
        if len(values) > 1:
            reach = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1)
            found[f"{key}_ci95"] = float(reach / len(values) ** 0.5)
    if "share_of_scratch" in found:
        shares = [one["share_of_scratch"] for one in changes]
        found["people_in_quarter_of_time"] = sum(
            share is not None and share <= 0.25 for share in shares
        )
    return found


def lines(cells: list[dict], against: str = "scratch") -> list[dict]:
    """All lines.

    Args:
      cells: of the benchmark.
      against: the method that the others are compared with.
    """
    by_video = {(*_video(c), c.get("choose", "first"), c["method"]): c for c in cells}
    found, groups, steps = [], {}, {}
    for key, cell in by_video.items():
        *video, choose, method = key
        names = {"video": _length(cell, choose), "method": method}
        where = {"clip": cell["identity"], "seeds": [cell["seed"]]} | names
        found.append({"task": "adapting"} | where | last(cell))
        baseline = by_video.get((*video, choose, against))
        baseline = None if method == against else baseline
        for step, one in on_the_way(cell, baseline).items():
            steps.setdefault((*names.items(), ("steps", step)), []).append(one)
        kind = ("stopped at the best head (mean)", *names.items())
        groups.setdefault(kind, []).append(best_stop(cell))
        if method != against and (*video, choose, against) in by_video:
            one = change(cell, by_video[(*video, choose, against)])
            found.append({"task": f"against {against}"} | where | one)
            kind = (f"against {against} (mean)", *names.items())
            groups.setdefault(kind, []).append(one)
        other = (*video, choose, method.replace("mean/", "encoder/"))
        if "mean/" in method and other in by_video:
            one = change(cell, by_video[other])
            del one["share_of_scratch"]
            kind = ("mean against encoder (mean)", *names.items())
            groups.setdefault(kind, []).append(one)
        if choose == "best" and (*video, "first", method) in by_video:
            one = change(cell, by_video[(*video, "first", method)])
            del one["share_of_scratch"]
            found.append({"task": "best against first seconds"} | where | one)
            kind = ("best against first seconds (mean)", *names.items())
            groups.setdefault(kind, []).append(one)
    for (task, *names), changes in groups.items():
        where = {"clip": f"{len(changes)} people", "seeds": [0]} | dict(names)
        found.append({"task": task} | where | mean(changes))
    for names, changes in steps.items():
        where = {"clip": f"{len(changes)} people", "seeds": [0]} | dict(names)
        found.append({"task": f"steps against {against}"} | where | mean(changes))
    return [
        {k: _rounded(k, v) for k, v in one.items() if v is not None} for one in found
    ]


def _video(cell: dict) -> tuple:
    return cell["identity"], cell["seconds"], cell["seed"]


def _length(cell: dict, choose: str) -> str:
    return f"{choose} {cell['seconds']:g} s" if cell["seconds"] else "all"


def _rounded(key: str, value):
    if type(value) is not float:
        return value
    return round(value, next((n for k, n in _DIGITS.items() if k in key), 2))


def main(arguments: list[str] | None = None) -> None:
    """Prints the lines of a folder of cells."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="--out of the benchmark")
    parser.add_argument("--task", default="", help="put before the task of each line")
    parser.add_argument("--against", default="scratch", help="method to compare with")
    flags = parser.parse_args(arguments)
    for line in lines(prior_benefit_report.read(flags.out), flags.against):
        line["task"] = flags.task + line["task"]
        print(json.dumps(line))


if __name__ == "__main__":
    main()
