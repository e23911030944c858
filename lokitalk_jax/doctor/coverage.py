"""Checks how much of a person a clip shows."""

from collections.abc import Iterator

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.data import layout
from lokitalk_jax.doctor.finding import NOTE, WARNING, Finding, listed

_JUMP = 0.3  # face widths from one frame to the next
_TURNED = 8.0  # degrees
_LITTLE_TURN = 5.0  # degrees
_SHORT = 10  # seconds


def examine(tracks: layout.Tracks) -> Iterator[Finding]:
    """Checks repeats, jumps, turns of the head, blinks and length."""
    where, count = layout.TRACKS, len(tracks.valid)
    repeats = int(tracks.duplicate.sum())
    if repeats > 0.03 * count:
        seen = f"{repeats} of {count} frames repeat the frame before them"
        remedy = "use the original recording; a converted one has lost motion"
        yield Finding(WARNING, "repeats", where, seen, remedy)
    yield from _jumps(tracks)
    yield from _turns(tracks)
    eyes = tracks.eye_ratio[tracks.valid].mean(1)
    closed = eyes < 0.55 * np.percentile(eyes, 80)
    if not np.count_nonzero(np.diff(closed.astype(int)) == 1):
        seen = f"no blink in {count / structs.FPS:.0f} s"
        remedy = "closed eyes will be guessed; a longer stretch shows some"
        yield Finding(NOTE, "no_blink", where, seen, remedy)
    if count < _SHORT * structs.FPS:
        seen = f"{count / structs.FPS:.1f} s"
        remedy = "adapt a prior"
        yield Finding(NOTE, "short", layout.FRAMES, seen, remedy)


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
