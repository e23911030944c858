"""Checks the images in folders of ER-NeRF, SyncTalk and TalkingGaussian."""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from lokitalk_jax.data import layout, peer_layout
from lokitalk_jax.doctor import pictures
from lokitalk_jax.doctor.finding import (
    ERROR,
    NOTE,
    PEER_AGAIN,
    WARNING,
    Finding,
    listed,
)
from lokitalk_jax.progress import Progress, track

# Channels of each kind of image, and whether training needs it.
_KINDS = {
    peer_layout.FRAMES: (3, True),
    peer_layout.OVER_PLATE: (3, True),
    peer_layout.TORSOS: (4, False),
    peer_layout.PARSING_MAPS: (3, True),
}
_SAMPLES = 40  # parsing maps whose colours are checked
_HEAD = next(c for c, label in peer_layout.PARSING.items() if label == layout.HEAD)
_TORSO = next(c for c, label in peer_layout.PARSING.items() if label == layout.TORSO)


def examine(
    path: pathlib.Path, numbers: list[int], progress: Progress | None
) -> Iterator[Finding]:
    """Checks all images of the frames `numbers`, and the background."""
    shape, repeats = None, pictures.Repeats()
    faults = {kind: pictures.Faults(kind, PEER_AGAIN) for kind in _KINDS}
    there = {kind: (path / kind).is_dir() for kind in _KINDS}
    files = {kind: peer_layout.images(path, kind) for kind in _KINDS}
    for index in track(numbers, progress, "checking", len(numbers)):
        for kind, (channels, _) in _KINDS.items():
            if not there[kind]:
                continue
            file = files[kind].get(index)
            image = None if file is None else pictures.read(file)
            if shape is None and image is not None:
                shape = image.shape[:2]
            wanted = (*(shape or (0, 0)), channels)
            image = faults[kind].add(index, image, wanted)
            if image is not None and kind == peer_layout.FRAMES:
                repeats.add(index, image)
    for kind, (_, needed) in _KINDS.items():
        if there[kind]:
            yield from faults[kind].findings()
        elif needed:
            seen = "there is no such folder"
            yield Finding(ERROR, "no_frames", kind, seen, PEER_AGAIN)
    none_flagged, remedy = np.zeros(len(numbers), bool), "import the folder, which "
    remedy += "marks them"
    yield from repeats.findings(none_flagged, peer_layout.FRAMES, remedy)
    if shape is not None:
        yield from _size(path, shape)
    yield from _parsing(path, numbers)


def _size(path: pathlib.Path, shape: tuple[int, int]) -> Iterator[Finding]:
    height, width = shape
    if height % 2 or width % 2:
        seen = f"frames of {width}x{height}: an odd side, which loses a pixel on import"
        remedy = "crop to even sides"
        yield Finding(WARNING, "odd_size", peer_layout.FRAMES, seen, remedy)
    where = peer_layout.PLATE
    plate = pictures.read(path / where)
    if plate is None:
        seen = "missing, truncated or not an image"
        yield Finding(ERROR, "unreadable_picture", where, seen, PEER_AGAIN)
    elif plate.shape[:2] != shape:
        seen = f"{plate.shape[1]}x{plate.shape[0]}, frames are {width}x{height}"
        yield Finding(ERROR, "picture_size", where, seen, PEER_AGAIN)


def _parsing(path: pathlib.Path, numbers: list[int]) -> Iterator[Finding]:
    """Checks the colours of some parsing maps."""
    where = peer_layout.PARSING_MAPS
    count = min(_SAMPLES, len(numbers))
    samples = np.linspace(0, len(numbers) - 1, count).astype(int)
    colours, headless = set(), []
    files = peer_layout.images(path, where)
    for index in np.array(numbers)[samples]:
        file = files.get(int(index))
        parsed = None if file is None else pictures.read(file, cv2.IMREAD_COLOR)
        if parsed is None:
            continue
        rgb = np.unique(parsed.reshape(-1, 3), axis=0)
        colours |= {tuple(int(v) for v in one) for one in rgb}
        # Swapped channels put the torso where the head is.
        head = np.argwhere((parsed == _HEAD).all(-1))[:, 0]
        torso = np.argwhere((parsed == _TORSO).all(-1))[:, 0]
        if not len(head) or len(torso) and torso.mean() < head.mean():
            headless.append(int(index))
    unknown = colours - peer_layout.PARSING.keys() - peer_layout.MOUTH_PARSING.keys()
    if unknown:
        seen = f"{len(unknown)} colours that are no class, such as {sorted(unknown)[0]}"
        yield Finding(ERROR, "parsing_colours", where, seen, PEER_AGAIN)
    if len(headless) > len(samples) // 10:
        seen = f"no head (blue), or the torso (red) above it, in {listed(headless)}"
        remedy = f"the head is RGB {_HEAD} on disk; were red and blue swapped?"
        yield Finding(ERROR, "parsing_swapped", where, seen, remedy)
    gaussian = colours & peer_layout.MOUTH_PARSING.keys()
    program = "TalkingGaussian" if gaussian else "ER-NeRF"
    yield Finding(NOTE, "parsing_flavour", where, f"as {program} writes it", "none")
