"""A scored clip, as the report shows it."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lokitalk_jax.evaluation.report.extremes import Extremes


class Clip(NamedTuple):
    """A scored clip.

    Attributes:
      identity: name of the identity, or of the predicted file.
      driven_by: the lips' driving signal: tracked, audio, the name of a baseline, or
        unstated.
      scores: of the whole clip, nested by key.
      frames: numbers of the scored frames, rising.
      rows: scores of each frame by key.
      extremes: its worst and best frames; None shows none.
      video: truth, render and error side by side, an MP4 file; None shows none.
      maps: frames with their maps, an image file; None shows none.
    """

    identity: str
    driven_by: str
    scores: Mapping[str, Any]
    frames: Sequence[int]
    rows: Sequence[Mapping[str, float | None]]
    extremes: Extremes | None = None
    video: pathlib.Path | None = None
    maps: pathlib.Path | None = None
