"""Checks an identity folder: its description, images and sound."""

import pathlib
from collections.abc import Iterator

from lokitalk_jax.data import layout
from lokitalk_jax.doctor import identity_images, pictures, sound, tracks
from lokitalk_jax.doctor.finding import ERROR, NOTE, PREPARE_AGAIN, WARNING, Finding
from lokitalk_jax.progress import Progress

_ENLARGED = 1.5
_SEEN = 0.25  # share of the plate below which much of the background is inpainted


def examine(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    """Runs all checks of an identity folder."""
    if not layout.is_identity(path):
        begun = (path / layout.WORKSPACE).is_dir()
        seen = "preparation has not finished" if begun else "there is no such file"
        remedy = "run the same prepare command again" if begun else PREPARE_AGAIN
        yield Finding(ERROR, "unfinished", layout.META, seen, remedy)
        return
    try:
        meta = layout.decode_meta((path / layout.META).read_bytes())
    except layout.Fault as fault:
        yield Finding(ERROR, fault.kind, layout.META, str(fault), PREPARE_AGAIN)
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
    yield from _enlarged(meta)
    yield from identity_images.examine(path, meta, found, progress)
    yield from _plate(path, meta)
    if meta.audio_rate is not None:
        yield from sound.wav(path / layout.SOUND, meta.frame_count, PREPARE_AGAIN)
        yield from sound.in_step(meta)
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
        remedy = "consider it when comparing scores"
        yield Finding(NOTE, "split", layout.META, seen, remedy)


def _enlarged(meta: layout.Meta) -> Iterator[Finding]:
    """Checks that the video has as many pixels as the frames."""
    window = meta.source.get("window")
    if window and window["out_width"] > _ENLARGED * window["width"]:
        times = window["out_width"] / window["width"]
        seen = f"the video was enlarged {times:.1f} times to {meta.width} pixels"
        remedy = "film from nearer or at a larger size, or prepare with a smaller size"
        yield Finding(WARNING, "enlarged", layout.FRAMES, seen, remedy)


def _plate(path: pathlib.Path, meta: layout.Meta) -> Iterator[Finding]:
    where = layout.PLATE
    faults = pictures.Faults(where, PREPARE_AGAIN)
    plate = faults.add(0, pictures.read(path / where), (meta.height, meta.width, 4))
    if plate is None:
        yield from faults.findings()
        return
    seen = float((plate[..., 3] > 127).mean())
    if seen < _SEEN:
        yield Finding(
            WARNING,
            "plate_seen",
            where,
            f"only {100 * seen:.0f}% of the background was ever visible",
            "film from farther away, or render over another background",
        )
