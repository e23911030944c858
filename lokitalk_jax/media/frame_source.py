"""Frames of any program's output: a video, or a folder of pictures."""

import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import av
import cv2
import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media import image_file, video_reader

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_THUMBNAIL = 32  # pixels


class FrameSource(NamedTuple):
    """Where frames come from.

    Attributes:
      path: a video, or a folder.
      pictures: the files of a folder, in order; None for a video.
      fps: frames a second; None for a folder, which does not say.
    """

    path: pathlib.Path
    pictures: tuple[pathlib.Path, ...] | None
    fps: float | None

    def frames(self) -> Iterator[np.ndarray]:
        """Decodes one frame after the other.

        Yields:
          RGB uint8 [H, W, 3].

        Raises:
          ValueError: a file cannot be decoded.
        """
        if self.pictures is None:
            yield from video_reader.read_frames(self.path)
            return
        for path in self.pictures:
            yield image_file.read_rgb(path)


class Survey(NamedTuple):
    """What a first look at all frames tells.

    Attributes:
      count: F.
      height, width: pixels.
      thumbnails: float32 [F, 32, 32], grey in [0, 1].
    """

    count: int
    height: int
    width: int
    thumbnails: np.ndarray


def open_source(path: pathlib.Path) -> FrameSource:
    """Opens a video or a folder of pictures.

    Raises:
      ValueError: there is nothing of the kind at `path`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES]
        if not files:
            raise ValueError(
                f"{path} holds no picture ({', '.join(_SUFFIXES)}); give a video or a "
                "folder of frames"
            )
        # 2.jpg before 10.jpg: not every program pads its numbers.
        files.sort(key=lambda p: [int(n) for n in re.findall(r"\d+", p.stem)])
        return FrameSource(path, tuple(files), None)
    if not path.is_file():
        raise ValueError(f"no such file or folder: {path}")
    try:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
    except IndexError as error:
        raise ValueError(
            f"{path} holds no video stream; give a video or a folder of frames"
        ) from error
    except av.FFmpegError as error:
        raise ValueError(
            f"{path} is no video, or is cut off; write it again ({error.strerror})"
        ) from error
    return FrameSource(path, None, float(rate) if rate else None)


def survey(source: FrameSource) -> Survey:
    """Decodes every frame once; keeps 4 KB of each.

    Raises:
      ValueError: there is no frame, or their sizes differ.
    """
    shape, thumbnails = None, []
    for index, frame in enumerate(source.frames()):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(
                f"{source.path}: frame {index} is {frame.shape[1]}x{frame.shape[0]}, "
                f"those before it {shape[1]}x{shape[0]}; write all at one size"
            )
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        size = (_THUMBNAIL, _THUMBNAIL)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        thumbnails.append(small.astype(np.float32) / 255)
    if shape is None:
        raise ValueError(f"{source.path} holds no frame")
    return Survey(len(thumbnails), *shape[:2], np.stack(thumbnails))


_MAX_LAG = 12  # frames
_CLEARLY = 0.75  # what a better lag leaves unexplained, of what no lag leaves


def lag(truth: Survey, prediction: Survey) -> int:
    """How many frames the prediction comes late, by how its pictures change.

    What is the same in all frames of a clip is left out, so a prediction that is
    blurred or tinted throughout is judged by its motion alone.

    Returns:
      frames, positive where the prediction is late; 0 unless another lag fits clearly
      better, as it cannot for a picture that stands still.
    """
    one, other = (
        (s.thumbnails - s.thumbnails.mean(axis=0)).reshape(s.count, -1)
        for s in (truth, prediction)
    )
    most = min(_MAX_LAG, truth.count // 4)
    fits = {by: _correlation(one, other, by) for by in range(-most, most + 1)}
    best = max(fits, key=fits.get)
    return best if 1 - fits[best] < _CLEARLY * (1 - fits[0]) else 0


def _correlation(one: np.ndarray, other: np.ndarray, by: int) -> float:
    count = len(one) - abs(by)
    a, b = one[max(-by, 0) :][:count], other[max(by, 0) :][:count]
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def check_pair(
    truth: tuple[FrameSource, Survey],
    prediction: tuple[FrameSource, Survey],
    any_lag: bool = False,
) -> int:
    """Refuses two sources whose frames do not belong together one by one.

    Args:
      truth, prediction: what is compared.
      any_lag: takes them even where one comes later than the other.

    Returns:
      frames by which the prediction is late, see `lag`.

    Raises:
      ValueError: sizes, frame rates or numbers of frames differ, the frame rate is not
        the project's, or one comes later than the other.
    """
    (a, one), (b, other) = truth, prediction
    for source in a, b:
        if source.fps is not None and abs(source.fps - structs.FPS) > 0.01:
            remedy = f"convert it first, as with ffmpeg -i IN -r {structs.FPS}"
            if one.count == other.count and a.fps != b.fps:
                # Converting would leave frames out, and lengths that differ.
                remedy = (
                    f"both have {one.count} frames, so only its rate seems to be "
                    f"written wrongly: set it, as with ffmpeg -r {structs.FPS} -i IN"
                )
            raise ValueError(
                f"{source.path} has {source.fps:.4g} frames a second; scores are of "
                f"{structs.FPS}; {remedy} -crf 10 OUT.mp4"
            )
    if (one.height, one.width) != (other.height, other.width):
        raise ValueError(
            f"{a.path} is {one.width}x{one.height} pixels, {b.path} {other.width}x"
            f"{other.height}; scale the larger one down first, as with ffmpeg -i IN "
            f"-vf scale={min(one.width, other.width)}:{min(one.height, other.height)} "
            "-crf 10 OUT.mp4"
        )
    if one.count != other.count:
        raise ValueError(
            f"{a.path} has {one.count} frames, {b.path} {other.count}; cut both to the "
            "same stretch first, as with ffmpeg -ss START -frames:v COUNT"
        )
    late = lag(one, other)
    if late and not any_lag:
        behind, ahead = (b.path, a.path) if late > 0 else (a.path, b.path)
        raise ValueError(
            f"{behind} shows what {ahead} shows, but {abs(late)} frames later; cut "
            f"{abs(late)} frames from the start of {behind} and as many from the end "
            f"of {ahead}, or set any_lag to score the delay"
        )
    return late
