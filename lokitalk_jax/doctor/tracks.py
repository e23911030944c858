"""Checks of what was tracked: poses, landmarks, and what a clip shows of a person."""

import pathlib
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import folder, layout
from lokitalk_jax.doctor.finding import ERROR, NOTE, WARNING, Finding, listed
from lokitalk_jax.prepare import pose

AGAIN = "prepare the video again"
_WHERE = layout.TRACKS
_DEPTH = (0.15, 5.0)  # metres; nearer a head fills any picture
_JUMP = 0.3  # face widths from one frame to the next
_REPROJECTION = 8.0  # pixels at `pose.REFERENCE_FOCAL`
_MAX_SHIFT = 3  # frames
_TURNED = 8.0  # degrees


def load(path: pathlib.Path, count: int) -> Iterator[Finding | layout.Tracks]:
    """Reads tracks.npz; yields its faults, or else the tracks."""
    try:
        arrays = folder.read_arrays(path)
        faults = list(layout.array_faults(arrays, count))
    except layout.Fault as fault:
        faults = [fault]
    if not faults:
        known = layout.TRACK_ROWS.keys() & arrays.keys()
        yield layout.Tracks(**{name: arrays[name] for name in known})
    for fault in faults:
        yield Finding(ERROR, fault.kind, _WHERE, str(fault), AGAIN)


def examine(tracks: layout.Tracks, meta: layout.Meta) -> Iterator[Finding]:
    """All checks of tracks that have the right shapes."""
    valid = tracks.valid
    if not valid.any():
        yield Finding(ERROR, "faceless", _WHERE, "no frame has a face", AGAIN)
        return
    faceless = np.flatnonzero(~valid)
    if len(faceless) > 0.02 * len(valid):
        seen = (
            f"{len(faceless)} of {len(valid)} frames have no face: {listed(faceless)}"
        )
        remedy = "choose another stretch with start=... and end=..."
        yield Finding(WARNING, "faceless", _WHERE, seen, remedy)
    faults = list(layout.value_faults(tracks))
    for fault in faults:
        yield Finding(ERROR, fault.kind, _WHERE, str(fault), AGAIN)
    if faults:
        return
    broken = False
    for finding in _poses(tracks):
        broken = True
        yield finding
    if not broken:
        yield from _geometry(tracks, meta)
    yield from _coverage(tracks)


def _poses(tracks: layout.Tracks) -> Iterator[Finding]:
    """Whether poses are rigid, and the head in front of the camera."""
    for name in ("head_to_camera", "torso_to_camera"):
        poses = getattr(tracks, name)
        if poses is None:
            continue
        turn = poses[:, :3, :3].astype(np.float64)
        off = np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max((1, 2))
        mirrored = np.linalg.det(turn) < 0
        last = np.abs(poses[:, 3] - [0, 0, 0, 1]).max(1)
        bad = np.flatnonzero(((off > 1e-3) | mirrored | (last > 1e-5)) & tracks.valid)
        if len(bad):
            seen = f"{name} of frames {listed(bad)} is no rotation with a shift"
            yield Finding(ERROR, "not_rigid", _WHERE, seen, AGAIN)
    depth = tracks.head_to_camera[:, 2, 3]
    bad = np.flatnonzero(((depth < _DEPTH[0]) | (depth > _DEPTH[1])) & tracks.valid)
    if len(bad):
        seen = f"the head is {depth[bad[0]]:.3g} m in front of the camera in frame "
        seen += f"{bad[0]}, and odd in {len(bad) - 1} more"
        remedy = "poses are head to camera, metres, z forward; " + AGAIN
        yield Finding(ERROR, "depth", _WHERE, seen, remedy)


def _geometry(tracks: layout.Tracks, meta: layout.Meta) -> Iterator[Finding]:
    """Whether poses and landmarks belong together, frame by frame."""
    found = tracks.landmarks[:, list(face_mesh.RIGID), :2].astype(np.float64)
    found = (found - meta.principal) / meta.focal
    points = face_mesh.canonical_points()[list(face_mesh.RIGID)]
    turn, shift = (
        tracks.head_to_camera[:, :3, :3],
        tracks.head_to_camera[:, None, :3, 3],
    )
    placed = np.einsum("fij,pj->fpi", turn.astype(np.float64), points) + shift
    apart = found - placed[..., :2] / placed[..., 2:]
    error = np.linalg.norm(apart, axis=-1)[tracks.valid]
    error = float(np.median(error)) * pose.REFERENCE_FOCAL
    if error > _REPROJECTION:
        seen = (
            f"landmarks lie {error:.1f} px (at a focal length of 1400) from where the "
        )
        seen += "poses put an average face"
        remedy = f"look at {layout.PREVIEW}; check focal and axes, or {AGAIN}"
        yield Finding(ERROR, "reprojection", _WHERE, seen, remedy)
    errors = {k: _shifted(found, placed, tracks.valid, k) for k in _shifts(len(found))}
    best = min(errors, key=errors.get)
    if best and errors[best] < 0.8 * errors[0]:
        seen = f"landmarks of frame i fit the pose of frame i{-best:+d} better "
        seen += f"({errors[best]:.2f} px) than their own ({errors[0]:.2f} px)"
        yield Finding(ERROR, "index_shift", _WHERE, seen, AGAIN)


def _shifts(count: int) -> range:
    most = min(_MAX_SHIFT, count // 4)
    return range(-most, most + 1)


def _shifted(found, placed, valid, by: int) -> float:
    """Error of landmarks against the poses `by` frames before, less a mean face."""
    count = len(found) - abs(by)
    seen, known = found[max(by, 0) :][:count], placed[max(-by, 0) :][:count]
    both = valid[max(by, 0) :][:count] & valid[max(-by, 0) :][:count]
    if both.sum() < 5:
        return np.inf
    # Of a face that is not the average one, the difference turns with it, nearly.
    apart = (seen - known[..., :2] / known[..., 2:])[both]
    apart -= apart.mean(0)
    return float(np.sqrt((apart**2).sum(-1).mean())) * pose.REFERENCE_FOCAL


def _coverage(tracks: layout.Tracks) -> Iterator[Finding]:
    """What the clip shows of the person."""
    valid, count = tracks.valid, len(tracks.valid)
    repeats = int(tracks.duplicate.sum())
    if repeats > 0.03 * count:
        seen = f"{repeats} of {count} frames repeat the one before"
        remedy = "use the original recording; a converted one has lost motion"
        yield Finding(WARNING, "repeats", _WHERE, seen, remedy)
    centre = tracks.landmarks[..., :2].mean(1)
    width = np.ptp(tracks.landmarks[..., 0], axis=1)
    step = np.linalg.norm(np.diff(centre, axis=0), axis=1) / np.maximum(width[1:], 1)
    cuts = 1 + np.flatnonzero((step > _JUMP) & valid[1:] & valid[:-1])
    if len(cuts):
        seen = f"the face jumps at frames {listed(cuts)}"
        remedy = "a cut? choose a stretch without it with start=... and end=..."
        yield Finding(WARNING, "jump", _WHERE, seen, remedy)
    turn = tracks.head_to_camera[valid, :3, :3]
    yaw = np.degrees(np.arctan2(turn[:, 0, 2], turn[:, 2, 2]))
    middle, low, high = np.percentile(yaw, [50, 5, 95])
    if abs(middle) > _TURNED:
        seen = (
            f"three-quarter view: the head is turned by {middle:.0f} degrees as a rule"
        )
        remedy = "film from the front; the far side of the face will be guessed"
        yield Finding(WARNING, "turned", _WHERE, seen, remedy)
    elif high - low < 5:
        seen = f"the head turns by {high - low:.1f} degrees only"
        remedy = "renders of larger turns will be guessed"
        yield Finding(NOTE, "little_turn", _WHERE, seen, remedy)
    eyes = tracks.eye_ratio[valid].mean(1)
    closed = eyes < 0.55 * np.percentile(eyes, 80)
    blinks = int(np.count_nonzero(np.diff(closed.astype(int)) == 1))
    if not blinks:
        seen = f"no blink in {count / structs.FPS:.0f} s"
        remedy = "closed eyes will be guessed; a longer stretch shows some"
        yield Finding(NOTE, "no_blink", _WHERE, seen, remedy)
    if count < 10 * structs.FPS:
        seen = f"{count / structs.FPS:.1f} s"
        remedy = "train with a prior (configs/adapt.py)"
        yield Finding(NOTE, "short", layout.FRAMES, seen, remedy)
