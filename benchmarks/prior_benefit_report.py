"""The cells of `benchmarks.prior_benefit` as one JSON, one table and one figure."""

import itertools
import json
import pathlib

import cv2
import numpy as np

from lokitalk_jax import files
from lokitalk_jax.media import image_file

# BGR, in the order in which methods come.
_COLOURS = (
    (60, 60, 60),
    (200, 140, 40),
    (40, 80, 220),
    (60, 160, 60),
    (170, 60, 150),
    (30, 150, 210),
    (130, 130, 0),
)
_DASH = {"frozen": 2, "slow": 4, "free": 0}


def read(out: pathlib.Path) -> list[dict]:
    """All cells."""
    return [json.loads(p.read_text()) for p in sorted((out / "cells").glob("*.json"))]


def best(curve: list[dict], key: str = "head") -> float:
    """The highest score of a curve."""
    return max(point[key] for point in curve)


def cost_to(
    curve: list[dict], level: float, key: str = "head", cost: str = "cpu_seconds"
) -> float | None:
    """What it costs until a curve reaches a level, between points; None if never."""
    before = None
    for point in curve:
        if point[key] >= level:
            if before is None or point[key] == before[key]:
                return point[cost]
            share = (level - before[key]) / (point[key] - before[key])
            return before[cost] + share * (point[cost] - before[cost])
        before = point
    return None


def table(cells: list[dict]) -> str:
    """One row a cell, in Markdown."""
    ends = {
        (c["identity"], c["seconds"], c["seed"]): c["curve"]
        for c in cells
        if c["method"] == "scratch"
    }
    lines = [
        "| identity | video, s | method | seed | at once: head | end: frame | head "
        "| lip | LPIPS | LMD, px | CPU s | to scratch's last head, CPU s | share |",
        "|---" * 13 + "|",
    ]
    for cell in cells:
        curve, first, last = cell["curve"], cell["curve"][0], cell["curve"][-1]
        scratch = ends.get((cell["identity"], cell["seconds"], cell["seed"]))
        reached = share = "-"
        if scratch:
            seconds = cost_to(curve, scratch[-1]["head"])
            if seconds is not None:
                reached = f"{seconds:.1f}"
                share = f"{seconds / scratch[-1]['cpu_seconds']:.2f}"
        row = [
            cell["identity"],
            f"{cell['seconds']:g}",
            cell["method"],
            cell["seed"],
            f"{first['head']:.2f}",
            *(f"{last[k]:.2f}" for k in ("frame", "head", "lip")),
            f"{last['lpips']:.4f}",
            "-" if last["lmd_px"] is None else f"{last['lmd_px']:.2f}",
            f"{last['cpu_seconds']:.0f}",
            reached,
            share,
        ]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines) + "\n"


def figure(cells: list[dict], width: int = 360, height: int = 260) -> np.ndarray:
    """Head PSNR against CPU seconds, a panel for each identity and length of video.

    Returns:
      uint8 [H, W, 3], BGR.
    """
    starts = sorted({_start(c) for c in cells}, key=lambda s: (s != "scratch", s))
    colours = dict(zip(starts, itertools.cycle(_COLOURS), strict=False))
    panels = []
    for identity, seconds in sorted({(c["identity"], c["seconds"]) for c in cells}):
        chosen = [
            c for c in cells if (c["identity"], c["seconds"]) == (identity, seconds)
        ]
        points = [point for c in chosen for point in c["curve"]]
        heads = [point["head"] for point in points]
        low, high = np.floor(min(heads)), np.ceil(max(heads))
        end = max(point["cpu_seconds"] for point in points)
        panel = np.full((height, width, 3), 255, np.uint8)

        def place(point, low=low, high=high, end=end):
            x = 40 + (width - 50) * point["cpu_seconds"] / end
            y = height - 30 - (height - 55) * (point["head"] - low) / (high - low)
            return round(x), round(y)

        for level in np.linspace(low, high, 5):
            _, y = place({"cpu_seconds": 0, "head": level})
            cv2.line(panel, (40, y), (width - 10, y), (225, 225, 225), 1)
            _text(panel, f"{level:.1f}", (4, y + 4))
        length = f"{seconds:g} s" if seconds else "all"
        _text(panel, f"{identity}, {length} of video: head PSNR", (40, 16))
        _text(panel, f"0 to {end:.0f} CPU seconds", (40, height - 8))
        for c in chosen:
            common = c["method"].partition("/")[2]
            at = [place(point) for point in c["curve"]]
            _polyline(panel, at, colours[_start(c)], _DASH.get(common, 0))
        panels.append(panel)
    across = min(3, len(panels))
    while len(panels) % across:
        panels.append(np.full((height, width, 3), 255, np.uint8))
    rows = [panels[i : i + across] for i in range(0, len(panels), across)]
    legend = _legend(colours, across * width)
    return np.concatenate([*(np.concatenate(row, 1) for row in rows), legend])


def _legend(colours: dict[str, tuple], width: int) -> np.ndarray:
    """A line of its own for every colour, uint8 [H, width, 3], BGR."""
    legend = np.full((20 * (len(colours) + 1), width, 3), 255, np.uint8)
    for row, (name, colour) in enumerate(colours.items()):
        y = 10 + 20 * row
        cv2.line(legend, (10, y), (34, y), colour, 2)
        _text(legend, name, (40, y + 4))
    free = "line: free, long dashes: slow, short: frozen"
    _text(legend, free, (10, 20 * len(colours) + 14))
    return legend


def _start(cell: dict) -> str:
    return cell["method"].partition("/")[0]


def _text(image, text, place) -> None:
    cv2.putText(
        image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (40, 40, 40), 1, cv2.LINE_AA
    )


def _polyline(image, points, colour, dash: int) -> None:
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if not dash:
            cv2.line(image, (x0, y0), (x1, y1), colour, 2, cv2.LINE_AA)
            continue
        count = max(1, int(np.hypot(x1 - x0, y1 - y0) // (2 * dash)))
        ends = np.linspace([x0, y0], [x1, y1], 2 * count + 1).round().astype(int)
        for a, b in zip(ends[::2], ends[1::2], strict=False):
            cv2.line(image, tuple(map(int, a)), tuple(map(int, b)), colour, 2)


def write(out: pathlib.Path) -> None:
    """Writes transfer.json, transfer.md and transfer.png beside the cells."""
    cells = read(out)
    with files.replacing(out / "transfer.json") as temporary:
        temporary.write_text(json.dumps(cells, indent=1) + "\n")
    with files.replacing(out / "transfer.md") as temporary:
        temporary.write_text(table(cells))
    image_file.write(out / "transfer.png", figure(cells)[..., ::-1])
