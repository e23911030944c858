"""Checks tracks: that they can be read, are rigid, and belong together."""

import pathlib
from collections.abc import Iterator

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.data import folder, layout
from lokitalk_jax.doctor import coverage
from lokitalk_jax.doctor.finding import (
    ERROR,
    PREPARE_AGAIN,
    WARNING,
    Finding,
    listed,
)
from lokitalk_jax.preparation import pose

_DEPTH = (0.15, 5.0)  # metres; nearer, a head fills any picture
_REPROJECTION = 8.0  # pixels at `pose.REFERENCE_FOCAL`
_MAX_SHIFT = 3  # frames


def load(path: pathlib.Path, count: int) -> Iterator[Finding | layout.Tracks]:
    """Reads tracks.npz; yields its faults, or else the tracks."""
    try:
        arrays = folder.read_arrays(path)
        faults = list(layout.array_faults(arrays, count))
    except layout.Fault as fault:
        arrays, faults = {}, [fault]
    if not faults:
        known = layout.TRACK_ROWS.keys() & arrays.keys()
        yield layout.Tracks(**{name: arrays[name] for name in known})
    for fault in faults:
        yield Finding(ERROR, fault.kind, layout.TRACKS, str(fault), PREPARE_AGAIN)


def examine(tracks: layout.Tracks, meta: layout.Meta) -> Iterator[Finding]:
    """Runs all checks of tracks whose shapes are right."""
    where, valid = layout.TRACKS, tracks.valid
    if not valid.any():
        yield Finding(ERROR, "faceless", where, "no frame has a face", PREPARE_AGAIN)
        return
    faceless = np.flatnonzero(~valid)
    if len(faceless) > 0.02 * len(valid):
        seen = f"{len(faceless)} of {len(valid)} frames have no face: "
        seen += listed(faceless)
        remedy = "choose another stretch with start=... and end=..."
        yield Finding(WARNING, "faceless", where, seen, remedy)
    faults = list(layout.value_faults(tracks))
    for fault in faults:
        yield Finding(ERROR, fault.kind, where, str(fault), PREPARE_AGAIN)
    if faults:
        return
    unusable = list(_poses(tracks))
    yield from unusable
    if not unusable:
        yield from _geometry(tracks, meta)
    yield from coverage.examine(tracks)


def _poses(tracks: layout.Tracks) -> Iterator[Finding]:
    """Checks that poses are rigid, and the head in front of the camera."""
    where = layout.TRACKS
    for name in ("head_to_camera", "torso_to_camera"):
        poses = getattr(tracks, name)
        if poses is None:
            continue
        turn = poses[:, :3, :3].astype(np.float64)
        off = np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max((1, 2))
        mirrored = np.linalg.det(turn) < 0
        last_row = np.abs(poses[:, 3] - [0, 0, 0, 1]).max(1)
        wrong = (off > 1e-3) | mirrored | (last_row > 1e-5)
        bad = np.flatnonzero(wrong & tracks.valid)
        if len(bad):
            seen = f"{name} of frames {listed(bad)} is not a rotation with a shift"
            yield Finding(ERROR, "not_rigid", where, seen, PREPARE_AGAIN)
    depth = tracks.head_to_camera[:, 2, 3]
    bad = np.flatnonzero(((depth < _DEPTH[0]) | (depth > _DEPTH[1])) & tracks.valid)
    if len(bad):
        seen = f"the head is {depth[bad[0]]:.3g} m in front of the camera in frame "
        seen += f"{bad[0]}, and out of range in {len(bad) - 1} more"
        remedy = f"poses are head to camera, metres, z forward; {PREPARE_AGAIN}"
        yield Finding(ERROR, "depth", where, seen, remedy)


def _geometry(tracks: layout.Tracks, meta: layout.Meta) -> Iterator[Finding]:
    """Checks that poses and landmarks belong together, frame by frame."""
    found = tracks.landmarks[:, list(face_mesh.RIGID), :2].astype(np.float64)
    found = (found - meta.principal) / meta.focal
    points = face_mesh.canonical_points()[list(face_mesh.RIGID)]
    turn = tracks.head_to_camera[:, :3, :3].astype(np.float64)
    shift = tracks.head_to_camera[:, None, :3, 3]
    projected = np.einsum("fij,pj->fpi", turn, points) + shift
    projected = projected[..., :2] / projected[..., 2:]
    error = np.linalg.norm(found - projected, axis=-1)[tracks.valid]
    error = float(np.median(error)) * pose.REFERENCE_FOCAL
    where = layout.TRACKS
    if error > _REPROJECTION:
        seen = f"landmarks lie {error:.1f} px (at a focal length of 1400) from the "
        seen += "average face under the poses"
        remedy = f"look at {layout.PREVIEW}; check focal length and axes, or "
        yield Finding(ERROR, "reprojection", where, seen, remedy + PREPARE_AGAIN)
    most = min(_MAX_SHIFT, len(found) // 4)
    errors = {
        by: _shifted_error(found, projected, tracks.valid, by)
        for by in range(-most, most + 1)
    }
    best = min(errors, key=lambda by: errors[by])
    if best and errors[best] < 0.8 * errors[0]:
        seen = f"landmarks of frame i fit the pose of frame i{-best:+d} better "
        seen += f"({errors[best]:.2f} px) than their own ({errors[0]:.2f} px)"
        yield Finding(ERROR, "index_shift", where, seen, PREPARE_AGAIN)


def _shifted_error(
    found: np.ndarray, projected: np.ndarray, valid: np.ndarray, by: int
) -> float:
    """Error of landmarks against the poses `by` frames before, less its mean, pixels.

    Args:
      found, projected: [F, P, 2], landmarks and the average face, focal length 1.
      valid: bool [F], frames with a face.
      by: frames.
    """
    count = len(found) - abs(by)
    landmarks, average = found[max(by, 0) :][:count], projected[max(-by, 0) :][:count]
    both = valid[max(by, 0) :][:count] & valid[max(-by, 0) :][:count]
    if both.sum() < 5:
        return np.inf
    # A face differs from the average face by about the same in all frames.
    difference = (landmarks - average)[both]
    difference -= difference.mean(0)
    return float(np.sqrt((difference**2).sum(-1).mean())) * pose.REFERENCE_FOCAL
