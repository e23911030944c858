"""Checks of our own folder: what is written about it, and its pictures."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import tqdm

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import folder
from lokitalk_jax.doctor import pictures, sound, timing, tracks
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding, listed

AGAIN = "prepare the video again"
_ENLARGED = 1.5
_ALIKE = 0.7  # of a person in labels or mask, the share that is in both
_SEEN = 0.25  # of the plate, below which much of the background is made up


class View(NamedTuple):
    """A folder whose manifest can be read."""

    path: pathlib.Path
    meta: folder.Meta


def examine(path: pathlib.Path) -> Iterator[Finding]:
    """All checks of an identity folder."""
    found = list(manifest(path))
    yield from found
    if any(finding.severity == ERROR for finding in found):
        return
    view = View(path, folder.IdentityFolder(path).meta)
    arrays = None
    for one in tracks.load(path, view.meta.frame_count):
        if isinstance(one, Finding):
            yield one
        else:
            arrays = one
    if arrays is not None:
        yield from tracks.examine(arrays, view.meta)
    yield from _source(view.meta)
    yield from _pictures(view, arrays)
    yield from _plate(view)
    if view.meta.audio_rate is not None:
        count = view.meta.frame_count
        yield from sound.wav(path / "audio.wav", count, AGAIN)
        yield from sound.log_mel(path / "audio_features.npz", count, AGAIN)
    else:
        yield Finding(
            NOTE, "no_sound", "identity.json", "prepared without sound", "none"
        )


def manifest(path: pathlib.Path) -> Iterator[Finding]:
    """Checks identity.json."""
    where, file = "identity.json", path / "identity.json"
    if not file.is_file():
        begun = (path / ".prepare").is_dir()
        seen = "preparation was not finished" if begun else "there is no such file"
        remedy = "run the same prepare command again" if begun else AGAIN
        yield Finding(ERROR, "unfinished", where, seen, remedy)
        return
    try:
        fields = json.loads(file.read_text())
    except ValueError as error:
        yield Finding(ERROR, "manifest", where, f"not valid JSON ({error})", AGAIN)
        return
    if not isinstance(fields, dict):
        yield Finding(ERROR, "manifest", where, "not a JSON object", AGAIN)
        return
    if fields.get("schema") != folder.SCHEMA:
        seen = f"schema {fields.get('schema')!r}, this program reads {folder.SCHEMA}"
        yield Finding(ERROR, "schema", where, seen, AGAIN)
        return
    known = {field.name: field for field in dataclasses.fields(folder.Meta)}
    alien = sorted(fields.keys() - known.keys())
    missing = sorted(
        name
        for name, field in known.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and name not in fields
    )
    for seen in [f"no field {n!r}" for n in missing] + [
        f"unknown {n!r}" for n in alien
    ]:
        yield Finding(ERROR, "manifest", where, seen, AGAIN)
    if not (missing or alien):
        yield from _values(fields, where)


def _values(fields: dict, where: str) -> Iterator[Finding]:
    def number(value) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    whole = ("height", "width", "frame_count", "train_frames")
    bad = [name for name in whole if not isinstance(fields[name], int)]
    bad += [name for name in ("focal",) if not number(fields[name])]
    principal = fields["principal"]
    if not (
        isinstance(principal, list)
        and len(principal) == 2
        and all(map(number, principal))
    ):
        bad.append("principal")
    if bad:
        seen = f"{', '.join(bad)} of the wrong type"
        yield Finding(ERROR, "manifest", where, seen, AGAIN)
        return
    height, width, count = (fields[name] for name in whole[:3])
    if min(height, width, count) < 1 or fields["focal"] <= 0:
        yield Finding(
            ERROR, "manifest", where, "sizes or counts below 1, or no focal", AGAIN
        )
        return
    if height % 2 or width % 2:
        seen = f"frames of {width}x{height}: an odd side"
        yield Finding(WARNING, "odd_size", where, seen, "prepare with an even --size")
    if not 0 < fields["train_frames"] < count:
        seen = f"train_frames {fields['train_frames']} of {count} frames"
        yield Finding(ERROR, "split", where, seen, AGAIN)
    elif fields["train_frames"] != folder.train_count(count):
        seen = f"the first {fields['train_frames']} of {count} frames train, not 10/11"
        yield Finding(NOTE, "split", where, seen, "keep in mind when comparing figures")
    if fields.get("fps", structs.FPS) != structs.FPS:
        seen = f"{fields['fps']} frames a second instead of {structs.FPS}"
        yield Finding(ERROR, "fps", where, seen, AGAIN)
    if fields.get("audio_rate", structs.AUDIO_RATE) not in (None, structs.AUDIO_RATE):
        seen = f"audio_rate {fields['audio_rate']} instead of {structs.AUDIO_RATE}"
        yield Finding(ERROR, "sound_rate", where, seen, AGAIN)


def _source(meta: folder.Meta) -> Iterator[Finding]:
    """Whether the video had as many pixels as the frames."""
    window = meta.source.get("window")
    if window and window["out_width"] > _ENLARGED * window["width"]:
        times = window["out_width"] / window["width"]
        seen = f"the video was enlarged {times:.1f} times to {meta.width} pixels"
        remedy = "film nearer or larger, or prepare with a smaller --size"
        yield Finding(WARNING, "enlarged", "frames", seen, remedy)


def _pictures(view: View, arrays: folder.Tracks | None) -> Iterator[Finding]:
    """Every frame, mask and label image, one frame at a time."""
    meta, path = view.meta, view.path
    size = meta.height, meta.width
    faults = {
        kind: pictures.Faults(kind, AGAIN) for kind in ("frames", "masks", "labels")
    }
    repeats, moments = pictures.Repeats(), timing.Timing(meta.frame_count)
    strange, off_face, off_mask, looked = [], [], [], 0
    progress = tqdm.tqdm(
        range(meta.frame_count), "checking", unit="frame", mininterval=1
    )
    for i in progress:
        frame = pictures.read(_frame_path(path, i), cv2.IMREAD_COLOR)
        if faults["frames"].add(i, frame, (*size, 3)):
            repeats.add(i, frame)
            moments.add_frame(i, frame)
        mask = pictures.read(path / "masks" / f"{i:06d}.png")
        masked = faults["masks"].add(i, mask, size)
        labels = pictures.read(path / "labels" / f"{i:06d}.png")
        if not faults["labels"].add(i, labels, size):
            continue
        moments.add_labels(i, labels)
        if labels.max() > folder.HEAD:
            strange.append(i)
        elif arrays is not None and arrays.valid[i]:
            looked += 1
            if not _head_on_face(labels, arrays.landmarks[i]):
                off_face.append(i)
            # Frames without a face have a mask and no labels.
            if masked and not _mask_of(labels, mask):
                off_mask.append(i)
    for fault in faults.values():
        yield from fault.findings()
    yield from _extra(path, meta.frame_count)
    if strange:
        seen = f"{listed(strange)}: values above 2 (0 background, 1 torso, 2 head)"
        yield Finding(ERROR, "label_values", "labels", seen, AGAIN)
    if len(off_face) > max(0.1 * looked, 2):
        yield Finding(
            ERROR,
            "labels_off_face",
            "labels",
            f"in {len(off_face)} of {looked} frames the face is not labelled head: "
            f"{listed(off_face)}",
            f"were head and torso swapped, or frames shifted? {AGAIN}",
        )
    if len(off_mask) > max(0.02 * looked, 2):
        seen = f"{listed(off_mask)}: another person than in labels"
        yield Finding(ERROR, "mask_off_labels", "masks", seen, AGAIN)
    if arrays is not None:
        yield from moments.findings(arrays.landmarks, arrays.valid, AGAIN)
        remedy = "prepare the video again, which finds and marks them"
        yield from repeats.findings(arrays.duplicate, "frames", remedy)


def _frame_path(path: pathlib.Path, index: int) -> pathlib.Path:
    jpeg = path / "frames" / f"{index:06d}.jpg"
    return jpeg if jpeg.exists() else jpeg.with_suffix(".png")


def _mask_of(labels: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a mask is of the person that is labelled."""
    one, other = labels != folder.BACKGROUND, mask > 127
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
    return (labels[y, x] == folder.HEAD).mean() > 0.5


def _extra(path: pathlib.Path, count: int) -> Iterator[Finding]:
    for kind in ("frames", "masks", "labels"):
        names = [p for p in (path / kind).glob("*") if not p.name.startswith(".")]
        over = sorted(
            p.name for p in names if not p.stem.isdigit() or int(p.stem) >= count
        )
        if over:
            seen = f"{len(over)} files beyond the {count} frames: {listed(over)}"
            yield Finding(ERROR, "extra_files", kind, seen, f"delete them, or {AGAIN}")


def _plate(view: View) -> Iterator[Finding]:
    where = "background.png"
    plate = pictures.read(view.path / where)
    fault = pictures.Faults(where, AGAIN)
    if not fault.add(0, plate, (view.meta.height, view.meta.width, 4)):
        yield from fault.findings()
        return
    seen = float((plate[..., 3] > 127).mean())
    if seen < _SEEN:
        yield Finding(
            WARNING,
            "plate_seen",
            where,
            f"only {100 * seen:.0f}% of the background was ever seen",
            "film further away, or render over a --background of your own",
        )
