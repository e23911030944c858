"""Frames side by side and contact sheets, to judge by eye; uint8 RGB [H, W, 3]."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

_BAR = 18  # rows above a picture that hold its label
_INK, _PAPER = (240, 240, 240), (24, 24, 24)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Rounds colours [...] in [0, 1] to bytes; other values are clipped."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def side_by_side(panels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Puts images of one height in a row, each under its name.

    Args:
      panels: name to uint8 [H, W, 3]; an empty name leaves the bar above empty.

    Returns:
      uint8 [H + 18, sum of widths, 3]; no bar where every name is empty.

    Raises:
      ValueError: the pictures differ in height, or are not RGB bytes.
    """
    return _row(list(panels.values()), list(panels))


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], labels: Sequence[Sequence[str]]
) -> np.ndarray:
    """Arranges images in rows, each under its label.

    Args:
      rows: uint8 [H, W, 3] each, one height within a row. Shorter rows are filled
        up on the right.
      labels: a label for each picture, which may be empty.

    Returns:
      uint8 [height, width, 3].

    Raises:
      ValueError: there are no pictures, labels and pictures differ in number,
        heights differ within a row, or a picture is not RGB bytes.
    """
    if not rows or len(rows) != len(labels):
        raise ValueError(
            f"rows has {len(rows)} entries and labels {len(labels)}; give as many, and "
            "at least one"
        )
    strips = [_row(row, names) for row, names in zip(rows, labels, strict=True)]
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([_widened(strip, width) for strip in strips])


def _row(images: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    if len(images) != len(names) or not images:
        raise ValueError(
            f"a row has {len(images)} pictures and {len(names)} labels; give as many, "
            "and at least one"
        )
    for name, image in zip(names, images, strict=True):
        wanted = (images[0].shape[0], image.shape[1], 3)
        if image.shape != wanted or image.dtype != np.uint8:
            raise ValueError(
                f"picture {name!r} is {image.dtype} {image.shape}; the row takes uint8 "
                f"RGB of height {wanted[0]}"
            )
    row = np.concatenate(images, axis=1)
    if not any(names):
        return row
    bars = [
        _bar(name, image.shape[1]) for name, image in zip(names, images, strict=True)
    ]
    return np.concatenate([np.concatenate(bars, axis=1), row])


def _bar(text: str, width: int) -> np.ndarray:
    """Text on a strip [18, width, 3], narrowed until it fits."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    (length, _), _ = cv2.getTextSize(text, font, scale, 1)
    bar = np.full((_BAR, max(width, length + 4), 3), _PAPER, np.uint8)
    cv2.putText(bar, text, (2, _BAR - 6), font, scale, _INK, 1, cv2.LINE_AA)
    return cv2.resize(bar, (width, _BAR), interpolation=cv2.INTER_AREA)


def _widened(strip: np.ndarray, width: int) -> np.ndarray:
    filled = np.full((strip.shape[0], width, 3), _PAPER, np.uint8)
    filled[:, : strip.shape[1]] = strip
    return filled
