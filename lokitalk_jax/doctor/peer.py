"""Checks folders of ER-NeRF, SyncTalk and TalkingGaussian."""

import pathlib
from collections.abc import Iterator

import numpy as np

from lokitalk_jax.data import peer_layout
from lokitalk_jax.doctor import expressions, peer_images, peer_poses, sound
from lokitalk_jax.doctor.finding import (
    ERROR,
    NOTE,
    PEER_AGAIN,
    WARNING,
    Finding,
    listed,
)
from lokitalk_jax.progress import Progress

_LANDMARK_FILES = f"{peer_layout.FRAMES}/*.lms"


def examine(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    """Runs all checks of a folder."""
    where = peer_layout.FRAMES
    numbers = list(peer_layout.images(path, where))
    count = len(numbers)
    if not numbers:
        yield Finding(ERROR, "no_frames", where, "there are no frames", PEER_AGAIN)
        return
    gaps = sorted(set(range(max(numbers) + 1)) - set(numbers))
    if gaps:
        seen = f"frames {listed(gaps)} are missing between others"
        yield Finding(ERROR, "missing_frames", where, seen, PEER_AGAIN)
    landmarks = poses = None
    for one in _landmarks(path, numbers):
        if isinstance(one, Finding):
            yield one
        else:
            landmarks = one
    for one in peer_poses.load(path, count):
        if isinstance(one, Finding):
            yield one
        else:
            poses = one
    yield from peer_images.examine(path, numbers, progress)
    if poses is not None and landmarks is not None:
        yield from peer_poses.index_shift(poses, landmarks)
    remedy = "extract it with ffmpeg -ar 16000 -ac 1"
    yield from sound.wav(path / peer_layout.SOUND, count, remedy)
    features = sorted(path.glob(peer_layout.FEATURES))
    if not features:
        seen, remedy = "no audio features", "not needed to import"
        yield Finding(NOTE, "no_features", peer_layout.FEATURES, seen, remedy)
    for file in features:
        for one in sound.features(file, count):
            # Import computes its own features.
            harmless = one.severity == ERROR
            yield one._replace(severity=WARNING) if harmless else one
    yield from expressions.examine(path, count)


def _landmarks(
    path: pathlib.Path, numbers: list[int]
) -> Iterator[Finding | np.ndarray]:
    """Reads landmarks; yields their faults, or else the array [F, 68, 2]."""
    files = peer_layout.numbered(path / peer_layout.FRAMES, ".lms")
    if len(files) != len(numbers):
        missing = sorted(set(numbers) - files.keys())
        seen = f"{len(files)} landmark files for {len(numbers)} frames"
        seen += f"; none of frames {listed(missing)}" if missing else ""
        remedy = "their tracking renumbers poses after a gap, so that all later poses "
        remedy += (
            f"are shifted: cut the video where no face is visible and {PEER_AGAIN}"
        )
        yield Finding(ERROR, "landmarks_missing", _LANDMARK_FILES, seen, remedy)
        return
    rows, bad = [], []
    for index, file in files.items():
        try:
            rows.append(np.loadtxt(file).reshape(68, 2))
        except (ValueError, OSError):
            bad.append(index)
    if bad:
        seen, check = f"{listed(bad)}: not 68 pairs of numbers", "landmarks_unreadable"
        yield Finding(ERROR, check, _LANDMARK_FILES, seen, PEER_AGAIN)
        return
    found = np.stack(rows)
    if np.isfinite(found).all():
        yield found
        return
    seen = f"{listed(np.flatnonzero(~np.isfinite(found).all((1, 2))))}: not finite"
    yield Finding(ERROR, "not_finite", _LANDMARK_FILES, seen, PEER_AGAIN)
