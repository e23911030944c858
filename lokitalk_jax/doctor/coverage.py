"""Checks how much of a person a clip shows."""

from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import layout, seconds
from lokitalk_jax.doctor.finding import NOTE, WARNING, Finding, listed

_JUMP = 0.3  # face widths from one frame to the next
_TURNED = 8.0  # degrees
_LITTLE_TURN = 5.0  # degrees
_SHORT = 10  # seconds
_OPEN = 0.12  # gap between the lips, widths of the mouth
_CLOSED = 0.05
_EXCERPTS = (5, 10, 20)  # seconds


def examine(tracks: layout.Tracks) -> Iterator[Finding]:
    """Checks repeats, jumps, turns of the head, lips, blinks and length."""
    where, count = layout.TRACKS, len(tracks.valid)
    repeats = int(tracks.duplicate.sum())
    if repeats > 0.03 * count:
        seen = f"{repeats} of {count} frames repeat the frame before them"
        remedy = "use the original recording; a converted one has lost motion"
        yield Finding(WARNING, "repeats", where, seen, remedy)
    yield from _jumps(tracks)
    yield from _turns(tracks)
    yield from _lips(tracks)
    eyes = tracks.eye_ratio[tracks.valid].mean(1)
    closed = eyes < 0.55 * np.percentile(eyes, 80)
    if not np.count_nonzero(np.diff(closed.astype(int)) == 1):
        seen = f"no blink in {count / structs.FPS:.0f} s"
        remedy = "closed eyes will be guessed; a longer stretch shows some"
        yield Finding(NOTE, "no_blink", where, seen, remedy)
    if count < _SHORT * structs.FPS:
        seen = f"the clip is {count / structs.FPS:.1f} s long"
        remedy = f"{_SHORT} s or more are better; or adapt a prior"
        yield Finding(NOTE, "short", layout.FRAMES, seen, remedy)
    yield from _best_seconds(tracks)


def _jumps(tracks: layout.Tracks) -> Iterator[Finding]:
    valid = tracks.valid
    centre = tracks.landmarks[..., :2].mean(1)
    width = np.ptp(tracks.landmarks[..., 0], axis=1)
    step = np.linalg.norm(np.diff(centre, axis=0), axis=1) / np.maximum(width[1:], 1)
    jumps = 1 + np.flatnonzero((step > _JUMP) & valid[1:] & valid[:-1])
    if len(jumps):
        seen = f"the face jumps at frames {listed(jumps)}"
        remedy = "a cut? choose a stretch without it with start=... and end=..."
        yield Finding(WARNING, "jump", layout.TRACKS, seen, remedy)


def _turns(tracks: layout.Tracks) -> Iterator[Finding]:
    turn = tracks.head_to_camera[tracks.valid, :3, :3]
    yaw = np.degrees(np.arctan2(turn[:, 0, 2], turn[:, 2, 2]))
    middle, low, high = np.percentile(yaw, [50, 5, 95])
    if abs(middle) > _TURNED:
        seen = f"three-quarter view: the head is usually turned by {middle:.0f} degrees"
        remedy = "film from the front; the far side of the face will be guessed"
        yield Finding(WARNING, "turned", layout.TRACKS, seen, remedy)
    elif high - low < _LITTLE_TURN:
        seen = f"the head turns by {high - low:.1f} degrees only"
        remedy = "renders of larger turns will be guessed"
        yield Finding(NOTE, "little_turn", layout.TRACKS, seen, remedy)


def _lips(tracks: layout.Tracks) -> Iterator[Finding]:
    lips = tracks.lips[tracks.valid]
    # The middles of the inner contour, and the corners; see `face_geometry`.
    gap = np.linalg.norm(lips[:, 25] - lips[:, 35], axis=1)
    width = np.linalg.norm(lips[:, 0] - lips[:, 10], axis=1)
    low, high = np.percentile(gap / np.maximum(width, 1e-6), [2, 98])
    if high < _OPEN:
        seen = f"the mouth opens by {high:.2f} of its width at most"
        remedy = "teeth and an open mouth will be guessed; speak some open vowels"
        yield Finding(NOTE, "no_open_mouth", layout.TRACKS, seen, remedy)
    if low > _CLOSED:
        seen = f"the lips never close: they stay {low:.2f} of the mouth's width apart"
        remedy = "a closed mouth will be guessed; add a pause, or words with m, b and p"
        yield Finding(NOTE, "no_closed_mouth", layout.TRACKS, seen, remedy)


def _best_seconds(tracks: layout.Tracks) -> Iterator[Finding]:
    """Names stretches to train on, where they are less than half of the clip."""
    frames = np.arange(len(tracks.valid))
    usable = tracks.valid & ~tracks.duplicate
    usable &= frames < layout.train_count(len(frames))
    best = []
    for length in _EXCERPTS:
        if 2 * length * structs.FPS < usable.sum():
            begin, _ = seconds.ranked(tracks, usable, length * structs.FPS)[0]
            best.append(f"{length} s from {begin / structs.FPS:.1f} s")
    if best:
        seen = "the stretches that show most of the person: " + ", ".join(best)
        remedy = "data.choose=best with data.max_seconds trains on them alone"
        yield Finding(NOTE, "best_seconds", layout.TRACKS, seen, remedy)
