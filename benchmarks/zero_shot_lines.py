r"""The scores of `benchmarks.zero_shot_quality` as lines to record.

    python -m benchmarks.zero_shot_lines runs/zero_shot/zero_shot.json \
        | python -m benchmarks.record --experiment=base_prior ... -

A line for each identity and start, and one with the mean difference of the encoder from
the mean identity and its 95% interval over people.
"""

import argparse
import json
import pathlib

from benchmarks import prior_benefit_lines

_METHODS = {
    "encoder": "encoder",
    "mean": "mean of the prior",
    "other": "nearest pose of another identity",
}


def lines(found: dict[str, dict]) -> list[dict]:
    """All lines.

    Args:
      found: by identity and start, as in `zero_shot.json`.
    """
    result, changes = [], []
    for name, starts in found.items():
        for start, method in _METHODS.items():
            scores = starts[start]
            line = {"task": "before training", "clip": name, "method": method}
            line["head_psnr"] = round(scores["head"]["psnr"], 2)
            line["frame_lpips_alex"] = round(scores["frame"]["lpips_alex"], 4)
            if "nearest_face_is_own" in scores:
                line["share_of_own_face"] = round(scores["nearest_face_is_own"], 2)
            result.append(line)
        encoder, mean = starts["encoder"], starts["mean"]
        change = {"head_psnr": encoder["head"]["psnr"]}
        change["head_psnr_change"] = encoder["head"]["psnr"] - mean["head"]["psnr"]
        change["share_of_own_face"] = encoder["nearest_face_is_own"]
        changes.append(change)
    means = {k: round(v, 2) for k, v in prior_benefit_lines.mean(changes).items()}
    where = {"task": "encoder less mean before training"}
    return [*result, where | {"clip": f"{len(changes)} people"} | means]


def main(arguments: list[str] | None = None) -> None:
    """Prints the lines of a `zero_shot.json`."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scores", type=pathlib.Path, help="zero_shot.json")
    parser.add_argument("--task", default="", help="put before the task of each line")
    parser.add_argument("--prior", help="name of the prior, a field of each line")
    flags = parser.parse_args(arguments)
    for line in lines(json.loads(flags.scores.read_text("utf-8"))):
        line["task"] = flags.task + line["task"]
        print(json.dumps(line | ({"prior": flags.prior} if flags.prior else {})))


if __name__ == "__main__":
    main()
