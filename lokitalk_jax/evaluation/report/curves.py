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
_INK, _RULE, _TRUTH = "#55555a", "#d8d8dc", "#b4b4ba"
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

# Scores of a clip's frames by key; None for a score that does not exist.
Rows = Sequence[Mapping[str, float | None]]


def draw(
    frames: Sequence[int], lines: Mapping[str, Rows], scores: Mapping[str, str]
) -> str:
    """Draws scores against frame numbers.

    Args:
      frames: F numbers, rising.
      lines: by name, F rows of scores each. Values whose key ends in _truth are drawn
        too, in grey, once for all lines.
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
        layout: Any = _layout(list(drawn))
        figure = Figure(figsize=(11, 0.4 + 1.7 * len(layout)), layout="constrained")
        places = figure.subplot_mosaic(layout)
        for key, label in drawn.items():
            _draw_score(places[key], frames, lines, key, label)
        handles, names = places[layout[0][0]].get_legend_handles_labels()
        if len(names) > 1:
            figure.legend(
                handles,
                names,
                loc="outside upper left",
                ncols=len(names),
                frameon=False,
            )
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _layout(keys: list[str]) -> list[list[str]]:
    """Two scores a row; of an odd number the first has a row to itself."""
    wide = len(keys) % 2
    pairs = [keys[i : i + 2] for i in range(wide, len(keys), 2)]
    return [[key, key] for key in keys[:wide]] + pairs


def _draw_score(axes, frames, lines: Mapping[str, Rows], key: str, label: str) -> None:
    marker = "." if len(frames) < 3 else "None"
    truth = [row.get(f"{key}_truth") for row in next(iter(lines.values()))]
    if any(value is not None for value in truth):
        known = np.array(truth, float)
        axes.plot(frames, known, marker=marker, lw=2.5, color=_TRUTH, label="truth")
    for number, (name, rows) in enumerate(lines.items()):
        values = np.array([row.get(key) for row in rows], float)  # None becomes NaN
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(frames, values, marker=marker, lw=1.2, color=colour, label=name)
    axes.set_title(label, loc="left", fontsize=9)
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
