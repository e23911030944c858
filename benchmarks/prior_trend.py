r"""Does a prior of more people help a new person more? Slopes, as lines to record.

    python -m benchmarks.prior_trend runs/benefit \
        --prior=5=5=runs/zero_5/zero_shot.json \
        --prior=all=85=runs/zero_all/zero_shot.json \
        | python -m benchmarks.record --experiment=prior_people ... -

For each new person a line is fitted to their scores over the binary logarithm of the
number of people in the prior; a line to record holds the mean slope over persons, the
change for twice as many people, and its 95% interval. Scores are those at the end of
the cells of `benchmarks.prior_benefit`, and those of `benchmarks.zero_shot_quality`.
"""

import argparse
import json
import pathlib
from typing import NamedTuple

import numpy as np

from benchmarks import prior_benefit_lines, prior_benefit_report

# Scores of new persons, by person and name.
Scores = dict[str, dict[str, float]]


class Prior(NamedTuple):
    """A prior: its label in the cells, its people, its scores before training."""

    label: str
    people: int
    zero_shot: pathlib.Path


def adapted(cells: list[dict], method: str) -> Scores:
    """Scores at the end of the cells of a method."""
    found = {}
    for cell in cells:
        if cell["method"] == method:
            end = cell["curve"][-1]
            found[cell["identity"]] = {f"{k}_psnr": end[k] for k in ("head", "lip")}
            found[cell["identity"]] |= {"frame_psnr": end["frame"]}
    return found


def before_training(found: dict[str, dict]) -> Scores:
    """Scores of the encoder in a `zero_shot.json`, and its lead over the mean."""
    scores = {}
    for name, starts in found.items():
        head = starts["encoder"]["head"]["psnr"]
        scores[name] = {
            "head_psnr": head,
            "lead_over_mean_psnr": head - starts["mean"]["head"]["psnr"],
            "share_of_own_face": starts["encoder"]["nearest_face_is_own"],
        }
    return scores


def slopes(by_people: dict[int, Scores]) -> dict:
    """Mean changes for twice as many people, with intervals over persons.

    Args:
      by_people: by the number of people in a prior, scores of the same persons.

    Raises:
      ValueError: the priors were not tested on the same persons.
    """
    persons = [sorted(scores) for scores in by_people.values()]
    if any(one != persons[0] for one in persons):
        raise ValueError("the priors were tested on different persons")
    doublings = np.log2(list(by_people))
    changes = []
    for person in persons[0]:
        rows = [scores[person] for scores in by_people.values()]
        changes.append(
            {
                f"{name}_change": float(
                    np.polyfit(doublings, [row[name] for row in rows], 1)[0]
                )
                for name in rows[0]
            }
        )
    found = prior_benefit_lines.mean(changes)
    return {key: round(value, 3) for key, value in found.items()}


def main(arguments: list[str] | None = None) -> None:
    """Prints a line for adapted persons, and one for persons before any training."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("out", type=pathlib.Path, help="--out of benchmarks.prior_benefit")
    add("--prior", action="append", required=True, help="LABEL=PEOPLE=zero_shot.json")
    add("--method", default="mean/free", help="of the cells")
    add("--seconds", type=float, default=5.0, help="of video, the best of a clip")
    flags = parser.parse_args(arguments)
    parts = [text.split("=", 2) for text in flags.prior]
    priors = [Prior(label, int(n), pathlib.Path(path)) for label, n, path in parts]
    cells = prior_benefit_report.read(flags.out)
    video = flags.seconds, "best"
    cells = [one for one in cells if (one["seconds"], one.get("choose")) == video]
    tasks = {
        "adapted": {
            p.people: adapted(cells, f"{p.label}:{flags.method}") for p in priors
        },
        "before training": {
            p.people: before_training(json.loads(p.zero_shot.read_text("utf-8")))
            for p in priors
        },
    }
    for task, scores in tasks.items():
        line = slopes(scores)
        where = {"task": f"twice as many people: {task}"}
        print(json.dumps(where | {"clip": f"{line['people']} people"} | line))


if __name__ == "__main__":
    main()
