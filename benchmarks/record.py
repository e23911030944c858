"""Adds what was measured to `results/data`.

    lokitalk evaluate --workdir=runs/b
    python -m benchmarks.record --experiment=quality --task="one identity" --seeds=0 \
        --machine="2 cores, AMD EPYC" --command="lokitalk train ..." \
        runs/b/evaluation/full_tracked/metrics.json
    python -m benchmarks.hashgrid_speed | python -m benchmarks.record \
        --experiment=speed_hashgrid --machine=... --command="..." -

Takes `metrics.json` files of an evaluation, which become a line for each identity and
driver, and JSON lines as benchmarks print them (`-` reads standard input). Nested
fields are joined by underscores, lists are left out. `python -m benchmarks.summary`
writes the tables anew.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from benchmarks import summary

_ROOT = summary.ROOT
# Fields of metrics.json that are neither scores nor of use in a table.
_LEFT_OUT = ("intervals", "config_hash")


def flat(facts: dict, prefix: str = "") -> dict:
    """Nested fields joined by underscores; lists and nulls are left out."""
    found = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}_")
        elif value is not None and not isinstance(value, list):
            found[prefix + key] = round(value, 5) if type(value) is float else value
    return found


def lines(text: str, common: dict) -> list[dict]:
    """Lines to record of a `metrics.json`, or of JSON lines that a benchmark printed.

    Args:
      text: of the file.
      common: fields that stand in for those that the file does not say.
    """
    try:
        whole = json.loads(text)
    except ValueError:  # several lines
        whole = {}
    if not isinstance(whole.get("identities"), dict):
        found = [
            flat(json.loads(line)) for line in text.splitlines() if line[:1] == "{"
        ]
        return [common | line for line in found]
    # Scores of the truth itself are lines of their own.
    parts = whole.pop("identities"), whole.pop("reachable", {})
    facts = {
        k: v
        for k, v in whole.items()
        if k not in _LEFT_OUT and not isinstance(v, dict | list)
    }
    found = []
    for clip, columns in [item for part in parts for item in part.items()]:
        for driven_by, scores in columns.items():
            scores = {k: v for k, v in scores.items() if k not in _LEFT_OUT}
            names = {"clip": clip, "driven_by": driven_by}
            found.append(common | names | facts | flat(scores))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Appends the lines of all files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("files", nargs="+", help="metrics.json or JSON lines; - is standard input")
    add("--experiment", required=True, help="the file in results/data, and the page")
    add("--task", required=True)
    add("--machine", required=True, help="cores and processor, or the GPU")
    add("--command", required=True, help="that anyone can run to measure it again")
    add("--clip", help="where the file does not say")
    add("--protocol", help="where the file does not say")
    add("--size", type=int, help="pixels, where the file does not say")
    add("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[])
    common = vars(parser.parse_args(arguments))
    paths = common.pop("files")
    commit = ["git", "rev-parse", "--short", "HEAD"]
    common["commit"] = subprocess.check_output(commit, cwd=_ROOT, text=True).strip()
    out = _ROOT / "results" / "data" / f"{common['experiment']}.jsonl"
    with out.open("a") as file:
        for path in paths:
            text = sys.stdin.read() if path == "-" else pathlib.Path(path).read_text()
            for line in lines(text, common):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
