"""A pair of videos: frames and sound of both, cut and scaled to match."""

import logging
import pathlib
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import layout
from lokitalk_jax.media import frame_match, frame_source, media_file, sound_file
from lokitalk_jax.media.frame_match import Survey
from lokitalk_jax.media.frame_view import FrameView
from lokitalk_jax.preparation import source_video

_LOG = logging.getLogger(__name__)

_LOSSLESS = (".png", ".bmp")
_STRETCH = 0.02  # by which scaling may change the ratio of width and height


class Side(NamedTuple):
    """A video: the truth or a prediction.

    Attributes:
      frames: its frames.
      survey: sizes and thumbnails of them.
      sound: float [S], 16 kHz mono in [-1, 1], from the first frame on; None without.
    """

    frames: FrameView
    survey: Survey
    sound: np.ndarray | None

    @property
    def lossless(self) -> bool:
        """Whether its frames are stored without loss."""
        pictures = self.frames.source.pictures or ()
        return bool(pictures) and all(
            one.suffix.lower() in _LOSSLESS for one in pictures
        )


class Pair(NamedTuple):
    """A prediction and its truth, frame k against frame k.

    Attributes:
      truth, prediction: the videos.
      late: frames by which the prediction is late.
      aligned: how both were cut and scaled, as a sentence; empty if they were not.
      cut: frames of the truth before and after those that are scored.
    """

    truth: Side
    prediction: Side
    late: int
    aligned: str = ""
    cut: tuple[int, int] = (0, 0)


def open_side(path: pathlib.Path, view: FrameView | None = None) -> Side:
    """Opens a video, folder of pictures, or identity folder.

    Args:
      path: of it; its sound is used.
      view: its frames; None takes all of the path's.
    """
    if view is None:
        view = FrameView(frame_source.open_source(_frames(path)))
    return Side(view, frame_match.survey(view), _sound(path))


def match(truth: Side, prediction: Side, any_lag: bool, align: bool) -> Pair:
    """Checks that the frames of two videos correspond, or makes them.

    Args:
      truth, prediction: the videos.
      any_lag: accepts a prediction that is early or late.
      align: cuts both to the moments that both show, and scales the prediction to the
        truth's size.

    Raises:
      ValueError: they do not correspond, see `frame_match.check_pair`, or their ratios
        of width and height differ.
    """
    aligned, whole, first = "", truth.survey.count, truth.frames.first
    if align:
        frame_match.check_rates(*((x.frames, x.survey) for x in (truth, prediction)))
        truth, prediction, aligned = _aligned(truth, prediction)
    late = frame_match.check_pair(
        (truth.frames, truth.survey),
        (prediction.frames, prediction.survey),
        any_lag or align,
    )
    before = truth.frames.first - first
    cut = before, whole - before - truth.survey.count
    return Pair(truth, prediction, late, aligned, cut)


def coded(pair: Pair, factor: int) -> Pair:
    """The pair with both videos coded alike, by H.264 of a rate factor."""
    truth, prediction = (
        side._replace(frames=side.frames._replace(factor=factor))
        for side in (pair.truth, pair.prediction)
    )
    return pair._replace(truth=truth, prediction=prediction)


def _aligned(truth: Side, prediction: Side) -> tuple[Side, Side, str]:
    done = []
    counts = truth.survey.count, prediction.survey.count
    late, known = frame_match.shift(truth.survey, prediction.survey)
    starts = max(-late, 0), max(late, 0)
    count = min(n - start for n, start in zip(counts, starts, strict=True))
    sides = []
    for name, side, start in zip(
        ("truth", "prediction"), (truth, prediction), starts, strict=True
    ):
        end = side.survey.count - start - count
        parts = [f"{start} from the start"] if start else []
        parts += [f"{end} from the end"] if end else []
        if parts:
            done.append(f"frames cut from the {name}: {' and '.join(parts)}")
        sides.append(_cut(side, start, count))
    if not known:
        done.append(
            "the motion in both agrees at no shift, so they are taken to begin at the "
            "same moment"
        )
    truth, prediction = sides
    size = truth.survey.height, truth.survey.width
    other = prediction.survey
    if (other.height, other.width) != size:
        stretch = other.width * size[0] / (other.height * size[1])
        if abs(stretch - 1) > _STRETCH:
            raise ValueError(
                f"{truth.frames.path} is {size[1]}x{size[0]} pixels, "
                f"{prediction.frames.path} {other.width}x{other.height}; align=True "
                "scales both ways alike, so cut both to the same part of the picture "
                "first"
            )
        done.append(
            f"prediction scaled from {other.width}x{other.height} to "
            f"{size[1]}x{size[0]}"
        )
        prediction = prediction._replace(
            frames=prediction.frames._replace(size=size),
            survey=other._replace(height=size[0], width=size[1]),
        )
    return truth, prediction, "; ".join(done)


def _cut(side: Side, start: int, count: int) -> Side:
    first = side.frames.first + start
    thumbnails = side.survey.thumbnails[start : start + count]
    sound = side.sound
    if sound is not None:
        sound = sound[start * structs.AUDIO_RATE // structs.FPS :]
    return Side(
        side.frames._replace(first=first, count=count),
        side.survey._replace(count=count, thumbnails=thumbnails),
        sound,
    )


def _frames(path: pathlib.Path) -> pathlib.Path:
    """The folder of frames of an identity folder; another path unchanged."""
    return path / layout.FRAMES if layout.is_identity(path) else path


def _sound(path: pathlib.Path) -> np.ndarray | None:
    """Sound of a video or identity folder, float [S], 16 kHz mono, or None."""
    if layout.is_identity(path):
        path = path / layout.SOUND
    if not path.is_file():
        return None
    with media_file.open_media(path) as container:
        pictures = media_file.picture_streams(container)
        if not container.streams.audio:
            return None
    # On the clock of the frames: a video may start later than its sound.
    zero = source_video.probe(path).origin if pictures else None
    try:
        sound = sound_file.open_sound(path)
    except ValueError as error:
        _LOG.warning("%s; nothing is scored by its sound", error)
        return None
    return np.concatenate([np.zeros(0, np.float32), *sound.read(zero)])
