"""The first look at a video: its frame times, its cuts, and where the face is.

Runs over every frame once, before anything is written, so that a video that cannot
be used is refused early.
"""

import collections
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize

from lokitalk_jax.prepare import crop, timeline, video
from lokitalk_jax.progress import Progress, track

# A face is looked for twice a second, on a copy that is no larger than this.
_SAMPLE_SECONDS = 0.5
_SAMPLE_SIZE = 1024
# A second face at least this wide, relative to the first, may be the one meant.
_RIVAL = 0.6
_RIVAL_SHARE = 0.1  # of the samples
MAX_FACELESS = 0.2
MIN_SECONDS = 3.0

# A cut is a step that stands out from the three steps on either side (by the image's
# change, then by the landmarks' motion), of which the face's velocity before and
# after leaves more than _UNEXPLAINED unexplained. Dropped frames, the false alarm to
# fear, stand out too, but move the face along its way: on the development clips they
# reach 0.04 face widths, and three of four random jumps in a lively clip pass 0.06.
_IMAGE_STANDS_OUT = 1.3
_FACE_STANDS_OUT = 1.2
_UNEXPLAINED = 0.06  # face widths
_OTHER_SCENE = 0.4  # share of pixels that change their colour bin
_ARM = 4  # frames on either side of the step
_CLOSE_UP = 384  # pixels


class Survey(NamedTuple):
    """What the first look found; S source frames, M of them searched for faces.

    Attributes:
      times: float64 [S], seconds.
      changes: float32 [S], worst-block change from the frame before.
      cuts: float64 [K], times of the first frames after a cut.
      boxes: float32 [M, 4], left, top, right and bottom of the largest face in
        pixels of the upright frame, NaN where there is none.
      rivals: bool [M], whether a second face is of similar size.
    """

    times: np.ndarray
    changes: np.ndarray
    cuts: np.ndarray
    boxes: np.ndarray
    rivals: np.ndarray


def look(
    clip: video.Clip,
    detect: Callable[[np.ndarray], list[np.ndarray]],
    start: float,
    end: float | None,
    search: bool = True,
    progress: Progress | None = None,
    total: int | None = None,
) -> Survey:
    """Surveys `clip` over [start, end).

    Args:
      clip: the video.
      detect: from RGB uint8 to the landmarks of each face, largest first.
      start: seconds.
      end: seconds, or None for the video's end.
      search: also look at parts of the frame where the whole shows no face, which
        finds faces down to a tenth of the frame's height instead of a fifth.
      progress: hears of the source frames.
      total: number of source frames, if known.
    """
    times, changes, cuts, boxes, rivals = [], [], [], [], []
    recent = collections.deque(maxlen=2 * _ARM)
    previous, next_sample = None, -np.inf
    decoded = video.decode(clip, start, end)
    for time, frame in track(decoded, progress, "survey", total):
        small = video.thumbnail(frame)
        change, motion = (
            (np.inf, np.inf) if previous is None else video.change(small, previous)
        )
        previous = small
        times.append(time)
        changes.append(change)
        if change >= timeline.REPEAT:
            recent.append((time, frame, small, motion))
            if len(recent) == recent.maxlen and _is_cut(
                clip, list(recent), boxes, detect
            ):
                cuts.append(recent[_ARM][0])
        if time >= next_sample:
            next_sample = time + _SAMPLE_SECONDS
            box, rival = _face_box(clip, frame, detect, search)
            boxes.append(box)
            rivals.append(rival)
    return Survey(
        np.array(times),
        np.array(changes, np.float32),
        np.array(cuts),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(rivals, bool),
    )


def check(clip: video.Clip, found: Survey, start: float) -> None:
    """Refuses a video that an identity cannot be made of.

    Raises:
      UnusableVideo: too short, cut, without a face, or with several.
    """
    name = clip.path.name
    if not len(found.times):
        raise video.UnusableVideo(
            f"{name} has no frame after --start={start:g}; lower it"
        )
    spacing = timeline.spacing(found.times)
    begin, finish = found.times[0], found.times[-1] + spacing
    seconds = finish - max(start, begin)
    if seconds < MIN_SECONDS - spacing / 2:
        raise video.UnusableVideo(
            f"{name} is {seconds:.2f} s long (between --start and --end); at least "
            f"{MIN_SECONDS:g} s are needed, and some minutes are better"
        )
    if len(found.cuts):
        edges = [max(start, begin), *found.cuts, finish]
        left, right = max(itertools.pairwise(edges), key=lambda pair: pair[1] - pair[0])
        raise video.UnusableVideo(
            f"{name} has a cut (the picture jumps) at "
            + ", ".join(f"{t:.2f} s" for t in found.cuts[:8])
            + (" and later" if len(found.cuts) > 8 else "")
            + "; one uninterrupted take is needed. The longest stretch without one: "
            f"--start={left:.2f} --end={right:.2f}"
        )
    faceless = np.isnan(found.boxes[:, 0]).mean()
    if faceless >= MAX_FACELESS:
        raise video.UnusableVideo(faceless_message(name, faceless))
    if found.rivals.mean() >= _RIVAL_SHARE:
        raise video.UnusableVideo(
            f"{name} shows several faces of similar size in {found.rivals.mean():.0%} "
            "of the frames looked at; crop the video to one person, or choose a "
            "stretch with --start and --end"
        )


def faceless_message(name: str, share: float) -> str:
    """The refusal of a video in which a face is missing too often."""
    return (
        f"{name}: no face was found in {share:.0%} of the frames (less than "
        f"{MAX_FACELESS:.0%} is allowed); choose a stretch that shows the face "
        "with --start and --end, or a picture in which it is larger"
    )


def _face_box(clip, frame, detect, search) -> tuple[np.ndarray, bool]:
    """The largest face's box in upright pixels, and whether another is like it."""
    rgb = video.upright(clip, frame, _SAMPLE_SIZE)
    found = _boxes(rgb, detect, 0, 0)
    if search and not found:
        found = _search_tiles(rgb, detect)
    if not found:
        return np.full(4, np.nan, np.float32), False
    scale = np.float32([clip.width / rgb.shape[1], clip.height / rgb.shape[0]] * 2)
    widths = [box[2] - box[0] for box in found]
    return found[0] * scale, len(found) > 1 and widths[1] > _RIVAL * widths[0]


def _boxes(rgb, detect, left, top) -> list[np.ndarray]:
    shift = np.float32([left, top])
    return [
        np.concatenate([face[:, :2].min(0) + shift, face[:, :2].max(0) + shift])
        for face in detect(np.ascontiguousarray(rgb))
    ]


def _search_tiles(rgb, detect) -> list[np.ndarray]:
    """Faces in squares half as large as the frame, which overlap by half."""
    side = min(rgb.shape[:2]) // 2
    found = []
    for top in _tile_starts(rgb.shape[0], side):
        for left in _tile_starts(rgb.shape[1], side):
            tile = rgb[top : top + side, left : left + side]
            found += _boxes(tile, detect, left, top)
    distinct = []
    for box in sorted(found, key=lambda box: box[0] - box[2]):
        centre = (box[:2] + box[2:]) / 2
        if not any((b[:2] < centre).all() and (centre < b[2:]).all() for b in distinct):
            distinct.append(box)
    return distinct


def _tile_starts(room: int, side: int) -> np.ndarray:
    count = 1 + int(np.ceil((room - side) / (side / 2)))
    return np.linspace(0, room - side, count).astype(int)


def _is_cut(clip, window, boxes, detect) -> bool:
    """Whether the scene jumps between the two middle frames of `window`."""
    _, frames, thumbnails, motions = zip(*window, strict=True)
    motions = np.array(motions[1:])
    if not _stands_out(motions, _IMAGE_STANDS_OUT, floor=1.0):
        return False
    if _colours_changed(thumbnails[_ARM - 1], thumbnails[_ARM]) > _OTHER_SCENE:
        return True
    known = [box for box in boxes if not np.isnan(box[0])]
    found = [detect(_close_up(clip, frame, known)) for frame in frames]
    if not all(found):
        # The face goes or comes with the step, and with nothing else.
        before, after = found[:_ARM], found[_ARM:]
        return (all(before) and not any(after)) or (all(after) and not any(before))
    faces = np.stack([faces[0][:, :2] for faces in found])
    faces /= np.ptp(faces[..., 0], axis=1).mean()
    steps = np.linalg.norm(np.diff(faces, axis=0), axis=-1).mean(-1)
    if not _stands_out(steps, _FACE_STANDS_OUT, floor=0.01):
        return False
    step = (faces[_ARM] - faces[_ARM - 1]).ravel()
    velocities = np.stack(
        [
            (faces[_ARM - 1] - faces[_ARM - 3]).ravel(),
            (faces[_ARM + 2] - faces[_ARM]).ravel(),
        ],
        axis=1,
    )
    residual = optimize.nnls(velocities, step)[1] / np.linalg.norm(step)
    return residual * steps[_ARM - 1] > _UNEXPLAINED


def _close_up(clip, frame, known) -> np.ndarray:
    """The frame around the latest known face, or all of it, not much enlarged."""
    window = crop.whole(clip.height, clip.width, _CLOSE_UP)
    if known:
        window = crop.head_and_shoulders(
            known[-1][None], clip.height, clip.width, _CLOSE_UP
        )
    return crop.cut_out(video.upright(clip, frame), window)


def _stands_out(steps, factor, floor) -> bool:
    middle = _ARM - 1
    others = np.delete(steps, middle)
    return bool(steps[middle] > factor * (others.max() + floor))


def _colours_changed(one, other) -> float:
    histograms = [
        np.histogramdd(image.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)[0]
        for image in (one, other)
    ]
    return np.abs(histograms[0] - histograms[1]).sum() / 2 / video.THUMBNAIL**2
