"""Checks of our own folder: what is written about it, and its pictures."""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import layout
from lokitalk_jax.doctor import pictures, sound, timing, tracks
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding, listed
from lokitalk_jax.progress import Progress, track

AGAIN = "prepare the video again"
_ENLARGED = 1.5
_ALIKE = 0.7  # of a person in labels or mask, the share that is in both
_SEEN = 0.25  # of the plate, below which much of the background is made up


def examine(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    """All checks of an identity folder."""
    if not layout.is_identity(path):
        begun = (path / layout.WORKSPACE).is_dir()
        seen = "preparation was not finished" if begun else "there is no such file"
        remedy = "run the same prepare command again" if begun else AGAIN
        yield Finding(ERROR, "unfinished", layout.META, seen, remedy)
        return
    try:
        meta = layout.decode_meta((path / layout.META).read_bytes())
    except layout.Fault as fault:
        yield Finding(ERROR, fault.kind, layout.META, str(fault), AGAIN)
        return
    yield from _size_and_split(meta)
    found = None
    for one in tracks.load(path, meta.frame_count):
        if isinstance(one, Finding):
            yield one
        else:
            found = one
    if found is not None:
        yield from tracks.examine(found, meta)
    yield from _source(meta)
    yield from _pictures(path, meta, found, progress)
    yield from _plate(path, meta)
    if meta.audio_rate is not None:
        yield from sound.wav(path / layout.SOUND, meta.frame_count, AGAIN)
    else:
        yield Finding(NOTE, "no_sound", layout.META, "prepared without sound", "none")


def _size_and_split(meta: layout.Meta) -> Iterator[Finding]:
    if meta.height % 2 or meta.width % 2:
        seen = f"frames of {meta.width}x{meta.height}: an odd side"
        remedy = "prepare with an even size"
        yield Finding(WARNING, "odd_size", layout.META, seen, remedy)
    train, count = meta.train_frames, meta.frame_count
    if train != layout.train_count(count):
        seen = f"the first {train} of {count} frames train, not 10/11"
        remedy = "keep in mind when comparing figures"
        yield Finding(NOTE, "split", layout.META, seen, remedy)


def _source(meta: layout.Meta) -> Iterator[Finding]:
    """Whether the video had as many pixels as the frames."""
    window = meta.source.get("window")
    if window and window["out_width"] > _ENLARGED * window["width"]:
        times = window["out_width"] / window["width"]
        seen = f"the video was enlarged {times:.1f} times to {meta.width} pixels"
        remedy = "film nearer or larger, or prepare with a smaller size"
        yield Finding(WARNING, "enlarged", layout.FRAMES, seen, remedy)


def _pictures(
    path: pathlib.Path,
    meta: layout.Meta,
    found: layout.Tracks | None,
    progress: Progress | None,
) -> Iterator[Finding]:
    """Every frame, mask and label image, one frame at a time."""
    size, count = (meta.height, meta.width), meta.frame_count
    faults = {kind: pictures.Faults(kind, AGAIN) for kind in layout.IMAGES}
    repeats, moments = pictures.Repeats(), timing.Timing(count)
    strange, off_face, off_mask, looked = [], [], [], 0
    for i in track(range(count), progress, "checking", count):
        frame = pictures.read(layout.frame(path, i), cv2.IMREAD_COLOR)
        if faults[layout.FRAMES].add(i, frame, (*size, 3)):
            repeats.add(i, frame)
            moments.add_frame(i, frame)
        mask = pictures.read(layout.image(path, layout.MASKS, i))
        masked = faults[layout.MASKS].add(i, mask, size)
        labels = pictures.read(layout.image(path, layout.LABELS, i))
        if not faults[layout.LABELS].add(i, labels, size):
            continue
        moments.add_labels(i, labels)
        if labels.max() > layout.HEAD:
            strange.append(i)
        elif found is not None and found.valid[i]:
            looked += 1
            if not _head_on_face(labels, found.landmarks[i]):
                off_face.append(i)
            # Frames without a face have a mask and no labels.
            if masked and not _mask_of(labels, mask):
                off_mask.append(i)
    for fault in faults.values():
        yield from fault.findings()
    yield from _extra(path, count)
    if strange:
        seen = f"{listed(strange)}: values above 2 (0 background, 1 torso, 2 head)"
        yield Finding(ERROR, "label_values", layout.LABELS, seen, AGAIN)
    if len(off_face) > max(0.1 * looked, 2):
        yield Finding(
            ERROR,
            "labels_off_face",
            layout.LABELS,
            f"in {len(off_face)} of {looked} frames the face is not labelled head: "
            f"{listed(off_face)}",
            f"were head and torso swapped, or frames shifted? {AGAIN}",
        )
    if len(off_mask) > max(0.02 * looked, 2):
        seen = f"{listed(off_mask)}: another person than in labels"
        yield Finding(ERROR, "mask_off_labels", layout.MASKS, seen, AGAIN)
    if found is not None:
        yield from moments.findings(found.landmarks, found.valid, AGAIN)
        remedy = "prepare the video again, which finds and marks them"
        yield from repeats.findings(found.duplicate, layout.FRAMES, remedy)


def _mask_of(labels: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a mask is of the person that is labelled."""
    one, other = labels != layout.BACKGROUND, mask > 127
    return np.sum(one & other) >= _ALIKE * np.sum(one | other)


def _head_on_face(labels: np.ndarray, landmarks: np.ndarray) -> bool:
    height, width = labels.shape
    points = landmarks[list(face_mesh.RIGID), :2]
    if not np.isfinite(points).all():
        return True  # said by the checks of tracks
    points = points.astype(int)
    inside = ((points >= 0) & (points < [width, height])).all(1)
    if not inside.any():
        return True
    x, y = points[inside].T
    return (labels[y, x] == layout.HEAD).mean() > 0.5


def _extra(path: pathlib.Path, count: int) -> Iterator[Finding]:
    for kind in layout.IMAGES:
        names = [p for p in (path / kind).glob("*") if not p.name.startswith(".")]
        over = sorted(
            p.name for p in names if not p.stem.isdigit() or int(p.stem) >= count
        )
        if over:
            seen = f"{len(over)} files beyond the {count} frames: {listed(over)}"
            yield Finding(ERROR, "extra_files", kind, seen, f"delete them, or {AGAIN}")


def _plate(path: pathlib.Path, meta: layout.Meta) -> Iterator[Finding]:
    where = layout.PLATE
    plate = pictures.read(path / where)
    fault = pictures.Faults(where, AGAIN)
    if not fault.add(0, plate, (meta.height, meta.width, 4)):
        yield from fault.findings()
        return
    seen = float((plate[..., 3] > 127).mean())
    if seen < _SEEN:
        yield Finding(
            WARNING,
            "plate_seen",
            where,
            f"only {100 * seen:.0f}% of the background was ever seen",
            "film further away, or render over another background",
        )
