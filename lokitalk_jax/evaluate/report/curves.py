"""Scores over a clip as an SVG drawing."""

import html
from collections.abc import Mapping, Sequence

import numpy as np

# The Okabe-Ito palette, told apart by colour-blind readers too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")

_WIDTH, _HEIGHT = 720, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 8, 8, 20


def curves(
    frames: Sequence[int], lines: Mapping[str, Sequence[float | None]], unit: str
) -> str:
    """Draws scores against frame numbers.

    Args:
      frames: numbers, rising.
      lines: by name, the score of each frame; None leaves a gap.
      unit: of the scores, for the reader's eye.

    Returns:
      an <svg> element; empty where no line has a point.
    """
    values = [v for line in lines.values() for v in line if v is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin, high + margin
    first, last = frames[0], max(frames[-1], frames[0] + 1)

    def x(frame: float) -> float:
        return _LEFT + (frame - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for value in np.linspace(low + margin, high - margin, 3):
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}" class="rule"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value:.3g}</text>"
        )
    for frame, anchor in (frames[0], "start"), (frames[-1], "end"):
        parts.append(
            f'<text x="{x(frame):.1f}" y="{_HEIGHT - 4}" text-anchor="{anchor}">'
            f"{'frame ' if anchor == 'start' else ''}{frame}</text>"
        )
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        for piece in _pieces(frames, line):
            dots = " ".join(f"{x(f):.1f},{y(v):.1f}" for f, v in piece)
            shape = f'<polyline points="{dots}" stroke="{colour}" fill="none"/>'
            if len(piece) == 1:
                (frame, value), *_ = piece
                shape = f'<circle cx="{x(frame):.1f}" cy="{y(value):.1f}" r="2" '
                shape += f'fill="{colour}"/>'
            parts.append(f"<g><title>{html.escape(name)}, {unit}</title>{shape}</g>")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(unit)} by frame">{"".join(parts)}</svg>'
    )


def _pieces(frames, line) -> list[list[tuple[int, float]]]:
    """Runs of points without a gap."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for frame, value in zip(frames, line, strict=True):
        if value is not None:
            pieces[-1].append((frame, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
