"""Scores over a clip's frames as an SVG drawing."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# The Okabe-Ito palette, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_INK, _RULE = "#55555a", "#d8d8dc"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 8,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.5,
}
_COLUMNS = 2

# Scores of a clip's frames by key; None for a score that does not exist.
Rows = Sequence[Mapping[str, float | None]]


def draw(
    frames: Sequence[int], lines: Mapping[str, Rows], scores: Mapping[str, str]
) -> str:
    """Draws scores against frame numbers.

    Args:
      frames: F numbers, rising.
      lines: by name, F rows of scores each.
      scores: the scores to draw, with the labels of their axes. Those that no row has
        are left out.

    Returns:
      an <svg> element; empty if there is nothing to draw.
    """
    drawn = {
        key: label
        for key, label in scores.items()
        if any(row.get(key) is not None for rows in lines.values() for row in rows)
    }
    if not drawn:
        return ""
    # A fixed salt makes equal drawings equal files.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": "lokitalk"}):
        height = -(-len(drawn) // _COLUMNS)
        figure = Figure(figsize=(11, 0.4 + 1.7 * height), layout="constrained")
        grid = figure.subplots(height, _COLUMNS, squeeze=False)
        for axes, (key, label) in zip(grid.flat, drawn.items(), strict=False):
            _draw_score(axes, frames, lines, key, label)
        for axes in grid.flat[len(drawn) :]:
            axes.set_axis_off()
        if len(lines) > 1:
            figure.legend(
                *grid.flat[0].get_legend_handles_labels(),
                loc="outside upper left",
                ncols=len(lines),
                frameon=False,
            )
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _draw_score(axes, frames, lines: Mapping[str, Rows], key: str, label: str) -> None:
    marker = "." if len(frames) < 3 else "None"
    for number, (name, rows) in enumerate(lines.items()):
        values = np.array([row.get(key) for row in rows], float)  # None becomes NaN
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(frames, values, marker=marker, lw=1.2, color=colour, label=name)
    axes.set_title(label, loc="left", fontsize=9)
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
