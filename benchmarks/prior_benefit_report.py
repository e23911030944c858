"""The cells of `benchmarks.prior_benefit` as one JSON, one table and one figure."""

import json
import pathlib

from matplotlib.figure import Figure

from benchmarks import reports
from benchmarks.learning_curve import cost_to
from lokitalk_jax import files

_LINES = {"frozen": ":", "slow": "--", "free": "-"}


def read(out: pathlib.Path) -> list[dict]:
    """All cells."""
    return [json.loads(p.read_text()) for p in sorted((out / "cells").glob("*.json"))]


def table(cells: list[dict]) -> str:
    """Markdown, a row for each cell."""
    from_scratch = {_video(c): c["curve"] for c in cells if c["method"] == "scratch"}
    heads = [
        "identity",
        "video, s",
        "seconds",
        "method",
        "seed",
        "head before training",
    ]
    heads += ["frame", "head", "lip", "LPIPS", "LMD, px", "CPU s"]
    heads += ["CPU s to the last head of scratch", "share of scratch"]
    rows = []
    for cell in cells:
        curve, last = cell["curve"], cell["curve"][-1]
        scratch, reached, share = from_scratch.get(_video(cell)), "-", "-"
        if scratch:
            seconds = cost_to(curve, scratch[-1]["head"])
            if seconds is not None:
                reached = f"{seconds:.1f}"
                share = f"{seconds / scratch[-1]['cpu_seconds']:.2f}"
        distance = last["lmd_px"]
        rows.append(
            [cell["identity"], f"{cell['seconds']:g}", _choice(cell), cell["method"]]
            + [cell["seed"]]
            + [f"{curve[0]['head']:.2f}"]
            + [f"{last[k]:.2f}" for k in ("frame", "head", "lip")]
            + [f"{last['lpips']:.4f}", "-" if distance is None else f"{distance:.2f}"]
            + [f"{last['cpu_seconds']:.0f}", reached, share]
        )
    return reports.markdown(heads, rows)


def figure(cells: list[dict]) -> Figure:
    """Head PSNR against CPU seconds, a panel for each identity and length of video.

    A colour for each start; the style of a line shows how shared parameters learn.
    """
    videos = sorted({_video(c)[:3] for c in cells})
    starts = sorted({_start(c) for c in cells}, key=lambda s: (s != "scratch", s))
    across = min(3, len(videos))
    down = -(-len(videos) // across)
    drawn = Figure(figsize=(4 * across, 3 * down + 0.4), layout="constrained")
    panels = drawn.subplots(down, across, squeeze=False).ravel()
    for panel in panels[len(videos) :]:
        panel.set_axis_off()
    for panel, video in zip(panels, videos, strict=False):
        identity, seconds, choice = video
        for cell in cells:
            if _video(cell)[:3] != video:
                continue
            start, _, shared = cell["method"].partition("/")
            panel.plot(
                [point["cpu_seconds"] for point in cell["curve"]],
                [point["head"] for point in cell["curve"]],
                color=f"C{starts.index(start)}",
                linestyle=_LINES.get(shared, "-"),
                label=cell["method"],
            )
        length = f"{choice} {seconds:g} s" if seconds else "all"
        panel.set(title=f"{identity}, {length} of video")
        panel.set(xlabel="CPU seconds", ylabel="head PSNR, dB")
        panel.grid(alpha=0.3)
    labels = {}
    for panel in panels:
        labels |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    drawn.legend(labels.values(), labels, loc="outside lower center", ncols=4)
    return drawn


def _video(cell: dict) -> tuple:
    return cell["identity"], cell["seconds"], _choice(cell), cell["seed"]


def _choice(cell: dict) -> str:
    return cell.get("choose", "first")


def _start(cell: dict) -> str:
    return cell["method"].partition("/")[0]


def write(out: pathlib.Path) -> None:
    """Writes transfer.json, transfer.md and transfer.png next to the cells."""
    cells = read(out)
    reports.write_json(out / "transfer.json", cells)
    reports.write(out / "transfer.md", table(cells))
    with files.replacing(out / "transfer.png") as temporary:
        figure(cells).savefig(temporary, format="png", dpi=110)
