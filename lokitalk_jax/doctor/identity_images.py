"""Checks the frames, masks and labels of an identity folder."""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.doctor import pictures
from lokitalk_jax.doctor.finding import ERROR, PREPARE_AGAIN, Finding, listed
from lokitalk_jax.doctor.timing import Timing
from lokitalk_jax.progress import Progress, track

_ALIKE = 0.7  # smallest overlap of the person in labels and mask, over their union


def examine(
    path: pathlib.Path,
    meta: layout.Meta,
    tracks: layout.Tracks | None,
    progress: Progress | None,
) -> Iterator[Finding]:
    """Checks every image, one frame at a time.

    Args:
      path: the folder.
      meta: its description.
      tracks: its tracks; None where they cannot be read.
      progress: called for every frame.
    """
    size, count = (meta.height, meta.width), meta.frame_count
    faults = {kind: pictures.Faults(kind, PREPARE_AGAIN) for kind in layout.IMAGES}
    repeats, timing = pictures.Repeats(), Timing(count)
    bad_values, off_face, off_mask, compared = [], [], [], 0
    for i in track(range(count), progress, "checking", count):
        frame = pictures.read(layout.frame(path, i), cv2.IMREAD_COLOR)
        frame = faults[layout.FRAMES].add(i, frame, (*size, 3))
        if frame is not None:
            repeats.add(i, frame)
            timing.add_frame(i, frame)
        mask = pictures.read(layout.image(path, layout.MASKS, i))
        mask = faults[layout.MASKS].add(i, mask, size)
        labels = pictures.read(layout.image(path, layout.LABELS, i))
        labels = faults[layout.LABELS].add(i, labels, size)
        if labels is None:
            continue
        timing.add_labels(i, labels)
        if labels.max() > layout.HEAD:
            bad_values.append(i)
        elif tracks is not None and tracks.valid[i]:
            compared += 1
            if not _head_on_face(labels, tracks.landmarks[i]):
                off_face.append(i)
            # Frames without a face have a mask and no labels.
            if mask is not None and not _same_person(labels, mask):
                off_mask.append(i)
    for fault in faults.values():
        yield from fault.findings()
    yield from _extra_files(path, count)
    if bad_values:
        seen = f"{listed(bad_values)}: values above 2 (0 background, 1 torso, 2 head)"
        yield Finding(ERROR, "label_values", layout.LABELS, seen, PREPARE_AGAIN)
    if len(off_face) > max(0.1 * compared, 2):
        yield Finding(
            ERROR,
            "labels_off_face",
            layout.LABELS,
            f"in {len(off_face)} of {compared} frames the face is not labelled head: "
            f"{listed(off_face)}",
            f"were head and torso swapped, or frames shifted? {PREPARE_AGAIN}",
        )
    if len(off_mask) > max(0.02 * compared, 2):
        seen = f"{listed(off_mask)}: another person than in the labels"
        yield Finding(ERROR, "mask_off_labels", layout.MASKS, seen, PREPARE_AGAIN)
    if tracks is not None:
        yield from timing.findings(tracks.landmarks, tracks.valid, PREPARE_AGAIN)
        remedy = f"{PREPARE_AGAIN}, which finds and marks them"
        yield from repeats.findings(tracks.duplicate, layout.FRAMES, remedy)


def _same_person(labels: np.ndarray, mask: np.ndarray) -> bool:
    """Whether labels and mask show the same person."""
    one, other = labels != layout.BACKGROUND, mask > 127
    return np.sum(one & other) >= _ALIKE * np.sum(one | other)


def _head_on_face(labels: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether most rigid landmarks [P, 3] lie on the head."""
    height, width = labels.shape
    points = landmarks[list(face_mesh.RIGID), :2]
    if not np.isfinite(points).all():
        return True  # the checks of tracks report it
    points = points.astype(int)
    inside = ((points >= 0) & (points < [width, height])).all(1)
    if not inside.any():
        return True
    x, y = points[inside].T
    return (labels[y, x] == layout.HEAD).mean() > 0.5


def _extra_files(path: pathlib.Path, count: int) -> Iterator[Finding]:
    for kind in layout.IMAGES:
        names = [p for p in (path / kind).glob("*") if not p.name.startswith(".")]
        extra = sorted(
            p.name for p in names if not p.stem.isdigit() or int(p.stem) >= count
        )
        if extra:
            seen = f"{len(extra)} files beyond the {count} frames: {listed(extra)}"
            yield Finding(
                ERROR, "extra_files", kind, seen, f"delete them, or {PREPARE_AGAIN}"
            )
