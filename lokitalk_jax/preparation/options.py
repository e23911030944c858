"""Options of a preparation."""

import dataclasses
import math
import sys

from lokitalk_jax.preparation import person


@dataclasses.dataclass(frozen=True)
class Options:
    """Options that change the contents of an identity folder.

    Attributes:
      size: longest side of the frames, pixels.
      crop: `auto`, a square around head and shoulders, or `none`, the whole frame.
      start: seconds from the video's first frame.
      end: the same; None for the video's end.
      audio: whether the identity has sound.
      audio_track: number of the audio track, from 1; None for the first that can be
        decoded, see `media.sound_file.open_sound`.
      person: who is meant where several people are in view: left, right, a number from
        the left, from 1, or x,y in pixels of the upright frame.
      png: stores frames without loss.
      trim: keeps the longest usable stretch of a video that would be refused for a cut,
        a missing face or several faces.
    """

    size: int = 512
    crop: str = "auto"
    start: float = 0.0
    end: float | None = None
    audio: bool = True
    audio_track: int | None = None
    person: str | None = None
    png: bool = False
    trim: bool = False

    def __post_init__(self):
        if self.size < 32 or self.size % 2:
            raise ValueError(f"size={self.size} must be even and at least 32 pixels")
        if self.crop not in ("auto", "none"):
            raise ValueError(f"crop={self.crop} must be auto or none")
        person.check(self.person)
        end = sys.float_info.max if self.end is None else self.end
        if not (0 <= self.start < end and math.isfinite(end)):
            raise ValueError(
                f"start={self.start:g} end={self.end}: the stretch is empty or begins "
                "before the video; 0 <= start < end is needed"
            )
