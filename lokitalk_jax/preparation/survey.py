"""The first look at a video: its frame times, its cuts, and where the face is.

Goes over every frame once, before anything is written, so that a video that cannot be
used is refused early.
"""

import itertools
import logging
from typing import NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.media import media_file
from lokitalk_jax.preparation import face_search, frame_change, source_video, timeline
from lokitalk_jax.preparation import person as people
from lokitalk_jax.preparation.camera_motion import CameraMotion
from lokitalk_jax.preparation.cuts import CutFinder
from lokitalk_jax.preparation.faces import Detect
from lokitalk_jax.preparation.source_video import Clip, UnusableVideo
from lokitalk_jax.progress import Progress, track

_LOG = logging.getLogger(__name__)

_SAMPLE_SECONDS = 0.5  # from one search for faces to the next
RIVAL_SHARE = 0.1  # of the samples
MAX_FACELESS = 0.2
MIN_SECONDS = 3.0


class Survey(NamedTuple):
    """Findings of the first look; S source frames, M of them searched for faces.

    Attributes:
      times: float64 [S], seconds.
      changes: float32 [S], worst-block change from the frame before.
      cuts: float64 [K], times of the first frames after a cut.
      boxes: float32 [M, 4], left, top, right and bottom of the person's face in
        pixels of the upright frame, NaN where it is not seen.
      rivals: bool [M], whether another face is of similar size, and may be meant.
    """

    times: np.ndarray
    changes: np.ndarray
    cuts: np.ndarray
    boxes: np.ndarray
    rivals: np.ndarray

    @property
    def known_boxes(self) -> np.ndarray:
        """The boxes [n, 4] of the samples that show a face."""
        return self.boxes[~np.isnan(self.boxes[:, 0])]


def look(
    clip: Clip,
    detect: Detect,
    start: float,
    end: float | None,
    in_parts: bool = True,
    person: str | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Surveys `clip` over [start, end).

    Args:
      clip: the video.
      detect: from RGB uint8 to the landmarks of each face, largest first.
      start: seconds.
      end: seconds, or None for the video's end.
      in_parts: also searches parts of the frame for a face, see `face_search`.
      person: choice where several people are in view, see `person.chosen`.
      progress: called for every source frame.
    """
    times, changes, cuts, samples = [], [], [], []
    camera = CameraMotion()
    cut_finder, known_box = CutFinder(clip, detect), None
    previous, next_sample = None, -np.inf
    stop = min(end or clip.duration, clip.duration)
    total = max(0, round((stop - start) / clip.spacing)) or None
    decoded = source_video.decode(clip, start, end)
    for time, frame in track(decoded, progress, "survey", total):
        thumbnail = frame_change.frame_thumbnail(frame)
        change, motion = np.inf, np.inf
        if previous is not None:
            change, motion = frame_change.change(thumbnail, previous)
        previous = thumbnail
        times.append(time)
        changes.append(change)
        if change >= frame_change.REPEAT:
            cut = cut_finder.add(time, frame, thumbnail, motion, known_box)
            if cut is not None:
                cuts.append(cut)
        if time >= next_sample:
            next_sample = time + _SAMPLE_SECONDS
            faces, rgb = face_search.find(clip, frame, detect, in_parts)
            samples.append(faces)
            if len(faces):
                known_box = faces[people.chosen(faces, person)]
            if known_box is not None:
                camera.add(rgb, known_box * (rgb.shape[1] / clip.width))
    if times and (end is None or end > clip.duration):
        _say_cut_off(clip, times[-1] + clip.spacing, start)
    _say_moving(clip, camera)
    boxes, rivals = people.follow(samples, person)
    return Survey(
        np.array(times),
        np.array(changes, np.float32),
        np.array(cuts),
        boxes,
        rivals,
    )


def sample_times(times: np.ndarray) -> np.ndarray:
    """Times [M] of the frames that were searched for faces, of all times [S]."""
    sampled, due = [], -np.inf
    for time in times:
        if time >= due:
            sampled.append(time)
            due = time + _SAMPLE_SECONDS
    return np.array(sampled)


def _say_moving(clip: Clip, camera: CameraMotion) -> None:
    shift = camera.moving()
    if shift is not None:
        _LOG.warning(
            "the camera of %s moves (its background by %.1f%% of the frame in half a "
            "second): expect a blurred background and unsteady edges; film from a "
            "tripod, or stabilise the video first",
            clip.path.name,
            100 * shift,
        )


def _say_cut_off(clip: Clip, last: float, start: float) -> None:
    """Says where a video ends that is shorter than its file states.

    Raises:
      UnusableVideo: too little of it is left.
    """
    cut_off = media_file.cut_off(last, clip.duration or None)
    if cut_off is None:
        return
    if last - start < MIN_SECONDS:
        raise UnusableVideo(
            f"{clip.path.name} is {cut_off}, and at least {MIN_SECONDS:g} s are "
            "needed; copy the file again from where it was made"
        )
    _LOG.warning("%s is %s", clip.path.name, cut_off)


def check(clip: Clip, found: Survey, start: float, least: float = MIN_SECONDS) -> None:
    """Refuses a video that cannot become an identity.

    Args:
      clip: the video.
      found: its survey.
      start: seconds.
      least: seconds that must remain.

    Raises:
      UnusableVideo: it is too short, has a cut, no face, or several faces.
    """
    name = clip.path.name
    if not len(found.times):
        raise UnusableVideo(f"{name} has no frame after start={start:g}; lower start")
    spacing = timeline.spacing(found.times)
    first, last = found.times[0], found.times[-1] + spacing
    seconds = last - max(start, first)
    if seconds < least - spacing / 2:
        raise UnusableVideo(
            f"{name} is {seconds:.2f} s long (between start and end); at least "
            f"{least:g} s are needed, and some minutes are better"
        )
    if len(found.cuts):
        edges = [max(start, first), *found.cuts, last]
        left, right = max(itertools.pairwise(edges), key=lambda pair: pair[1] - pair[0])
        raise UnusableVideo(
            f"{name} has a cut (the picture jumps) at "
            + ", ".join(f"{t:.2f} s" for t in found.cuts[:8])
            + (" and later" if len(found.cuts) > 8 else "")
            + "; one uninterrupted take is needed. The longest stretch without a cut: "
            f"start={left:.2f} end={right:.2f}"
        )
    check_faces(name, np.isnan(found.boxes[:, 0]).mean(), seconds, least)
    if found.rivals.mean() >= RIVAL_SHARE:
        raise UnusableVideo(
            f"{name} shows several faces of similar size in {found.rivals.mean():.0%} "
            "of the sampled frames; choose one with person=left, person=right, a "
            "number from the left or x,y in pixels, or another stretch with start=... "
            "and end=..."
        )


def check_faces(
    name: str, faceless: float, seconds: float, least: float = MIN_SECONDS
) -> None:
    """Refuses a video that shows the person's face in too few frames.

    Args:
      name: of the video.
      faceless: share of its frames without the face.
      seconds: its length.
      least: seconds that must remain.

    Raises:
      UnusableVideo: fewer seconds show the face.
    """
    remaining = (1 - faceless) * seconds
    if remaining < least - 1 / structs.FPS:
        raise UnusableVideo(
            f"{name}: no face was found in {faceless:.0%} of the frames, which leaves "
            f"{remaining:.1f} s, and {least:g} s are needed; choose another "
            "stretch with start=... and end=..., or a picture in which the face is "
            "larger"
        )
    if faceless >= MAX_FACELESS:
        _LOG.warning(
            "%s: no face was found in %.0f%% of the frames; they are left out, and "
            "%.1f s remain",
            name,
            100 * faceless,
            remaining,
        )
