r"""Writes the tables of the results from the recorded lines.

    python -m benchmarks.summary

`results/data/EXPERIMENT.jsonl` holds a line for each run. Pages (the README and
`results/*.md`) ask for tables in comments, and the table is written behind it:

    <!-- table quality[task=one identity, size=64|96]; rows: clip, seeds;
         columns: frame_psnr, lmd_px -->
    <!-- end -->

In brackets stand the values that fields of a line must have. Lines that agree in the
fields of `rows` share a row of the table: their mean, then their range in brackets.
With `across: clip` the columns are the clips, for a single metric. The 95% interval of
METRIC is mean +- METRIC_ci95 where a line has that field.

    <!-- summary
    One identity | quality[task=one identity] | frame_psnr, clip
    -->
    <!-- end -->

makes a row of each line: a title, which lines, a metric and the field that lists it.
"""

import json
import pathlib
import re
from collections.abc import Iterable

from benchmarks.reports import markdown

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ("README.md", "results/*.md")
REQUIRED = (  # fields of every line
    "experiment",
    "task",
    "clip",
    "protocol",
    "size",
    "seeds",
    "commit",
    "machine",
    "command",
)
_BLOCK = re.compile(r"(<!-- (table|summary)\s(.*?)-->\n).*?(<!-- end -->)", re.S)
_SOURCE = re.compile(r"\s*(\w+)(?:\[(.*?)\])?")
# Decimals at least, by a part of a metric's name.
_DECIMALS = {"psnr": 2, "ssim": 3, "lpips_alex": 4, "lmd_px": 3, "correlation": 2}
_UNITS = {"psnr": "dB", "px": "px", "mm": "mm", "ms": "ms", "s": "s", "mb": "MB"}


def read(root: pathlib.Path = ROOT) -> dict[str, list[dict]]:
    """The lines of each experiment."""
    paths = sorted((root / "results" / "data").glob("*.jsonl"))
    return {p.stem: [json.loads(x) for x in p.read_text().splitlines()] for p in paths}


def select(results: dict[str, list[dict]], sources: str) -> list[dict]:
    """The lines that sources such as `quality[size=64], swap` name, in their order.

    Raises:
      ValueError: a source names no line.
    """
    found = []
    for experiment, conditions in _SOURCE.findall(sources):
        wanted = dict(one.split("=", 1) for one in _listed(conditions))
        lines = [
            line
            for line in results.get(experiment, [])
            if all(str(line.get(k)) in v.split("|") for k, v in wanted.items())
        ]
        if not lines:
            raise ValueError(f"no line of results/data is {experiment}[{conditions}]")
        found += lines
    return found


def table(results: dict[str, list[dict]], request: str) -> str:
    """A table in Markdown, as requested by a comment of a page."""
    sources, *parts = request.split(";")
    options = {k.strip(): _listed(v) for k, v in (p.split(":", 1) for p in parts)}
    lines, rows, columns = select(results, sources), options["rows"], options["columns"]
    across = options.get("across", [None])[0]
    heads, cells = list(columns), {}
    if across:
        heads = list(dict.fromkeys(str(line[across]) for line in lines))
    for line in lines:
        row = cells.setdefault(tuple(_text(line.get(key)) for key in rows), {})
        for metric in columns:
            if line.get(metric) is not None:
                row.setdefault(str(line[across]) if across else metric, []).append(line)
    kinds = dict.fromkeys(heads, columns[0]) if across else {c: c for c in columns}
    body = [
        [*key, *(_value(row.get(head, []), kinds[head]) for head in heads)]
        for key, row in cells.items()
    ]
    shown = heads if across else [_heading(metric) for metric in columns]
    return markdown([*map(_heading, rows), *shown], body)


def summary(results: dict[str, list[dict]], request: str, links: str) -> str:
    """The table of headlines in Markdown; `links` leads from its page to the pages."""
    body = []
    for text in request.strip().splitlines():
        title, sources, what = (part.strip() for part in text.split(" | "))
        metric, *by = _listed(what)
        lines = select(results, sources)
        groups: dict[str, list[dict]] = {}
        for line in lines:
            groups.setdefault(_text(line[by[0]]) if by else "", []).append(line)
        values = [f"{k} {_value(v, metric)}".strip() for k, v in groups.items()]
        page = lines[0]["experiment"]
        facts = [_each(line[key] for line in lines) for key in ("size", "commit")]
        machine = _each(line["machine"] for line in lines)
        link = f"[{page}]({links}{page}.md)"
        body.append([title, _heading(metric), ", ".join(values), *facts, machine, link])
    heads = ["task", "metric", "value (range)", "size, px", "commit", "machine", "page"]
    return markdown(heads, body)


def fill(text: str, results: dict[str, list[dict]], links: str = "") -> str:
    """A page with its tables written anew."""

    def written(block: re.Match) -> str:
        request = " ".join(block[3].split())
        if block[2] == "summary":
            return block[1] + summary(results, block[3], links) + block[4]
        return block[1] + table(results, request) + block[4]

    return _BLOCK.sub(written, text)


def pages(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Files that may ask for tables."""
    return sorted(path for pattern in PAGES for path in root.glob(pattern))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _each(values: Iterable) -> str:
    return ", ".join(dict.fromkeys(map(_text, values)))


def _text(value) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _heading(metric: str) -> str:
    words = metric.split("_")
    unit = _UNITS.get(words[-1])
    if unit and words[-1] != "psnr":
        words = words[:-1]
    name = " ".join(words).replace("frame lpips alex", "LPIPS")
    name = name.replace("lpips alex", "LPIPS")
    name = re.sub(r"\b(psnr|ssim|lmd|cpu|iou)\b", lambda m: m[0].upper(), name)
    return f"{name}, {unit}" if unit else name


def _value(lines: list[dict], metric: str) -> str:
    """Mean of a metric over lines, with the range or the 95% interval."""
    values = [line[metric] for line in lines]
    if not values:
        return "-"
    least = next((n for part, n in _DECIMALS.items() if part in metric), 0)
    digits = max([least, *(len(str(v).partition(".")[2]) for v in values)])
    sign = "+" if metric.endswith("_change") else ""
    shown = [f"{v:{sign}.{digits}f}" for v in (_mean(values), min(values), max(values))]
    if reach := lines[0].get(metric + "_ci95"):
        return f"{shown[0]} ± {reach:.{digits}f}"
    return shown[0] if len(values) == 1 else f"{shown[0]} ({shown[1]} to {shown[2]})"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    """Writes the tables of all pages."""
    results = read()
    for page in pages():
        links = "" if page.parent.name == "results" else "results/"
        text = page.read_text()
        if (new := fill(text, results, links)) != text:
            page.write_text(new)
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
