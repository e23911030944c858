"""Driving signals of the regions: fitted on training frames, applied to every frame.

    head   mean_pose^-1 @ pose as a 6-vector, zero at rest
    torso  the same at `structs.TORSO_LAGS`, since a torso follows its head with a lag
    lip    lip landmarks in the head frame, minus the mean shape of the identity, minus
           the rigid motion that the pose of the head explains (errors of the pose leak
           into the lips), in a basis that all identities share, divided by one number,
           the amount of lip motion of the identity: so a mouth opens in the same
           direction for each driving identity
    eye    eye ratios between the closed and the open level of the identity; height of
           the brows above its median

The fit is one `Fitted` of arrays with a leading identity axis, saved with a run:
rendering and adapting need it, and adapting keeps the basis of the prior.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from lokitalk_jax import structs
from lokitalk_jax.data import face_geometry, pose_vectors
from lokitalk_jax.data.layout import Tracks

# Levels of `Fitted.quantiles`: minimum, maximum, robust bounds and median.
QUANTILES = (0.0, 0.01, 0.5, 0.99, 1.0)

# Head motion (radians, then `structs.UNIT`s) below which no leak is removed.
_RIDGE = np.array([0.03] * 3 + [0.15] * 3)

# Lip motion (rms over landmarks, metres) that counts as noise: not scaled to unit
# variance.
_LIP_FLOOR = 1e-4

# The open level is this percentile of the ratio. Below the first share of it an eye is
# in a blink; a clip without a blink gets the second share as closed level. A percentile
# would not find the closed level, as all blinks may be three frames of a clip.
_OPEN_PERCENTILE = 85
_BLINK_SHARE = 0.6
_CLOSED_SHARE = 0.15
_EYE_LIMITS = (-0.2, 1.2)

# Brow height that counts as 1, in distances between the outer corners of the eyes
# (5 mm on the canonical face); brows that are raised further than the limits are
# landmarks that slipped.
_BROW_UNIT = 0.055
_BROW_LIMITS = (-2.0, 3.0)


class Fitted(NamedTuple):
    """Fitted parameters of the signals of N identities: names and arrays.

    Attributes:
      names: N names, the order of the leading axis of the other fields.
      lip_basis: [D_lip, 120], orthonormal rows, shared by all identities.
      mean_pose: [N, 4, 4], mean of `head_to_camera`, metres.
      torso_tracked: bool [N], whether the torso signal is relative to the torso.
      torso_pose: [N, 4, 4], mean of `torso_to_camera`, or the unit matrix.
      torso_mean: [N, 4, 4], mean pose of the head relative to the torso.
      lip_mean: [N, 120], lip shape at the mean pose, metres.
      lip_leak: [N, 6, 120], metres of lip shape per unit of the head signal.
      lip_scale: [N], root mean square of the coefficients, metres.
      eye_levels: [N, 2, 2], raw ratios of the left and right eye: closed, then open.
      brow_level: [N], median height of the brows, see `face_geometry.brow_heights`.
      quantiles: leaves [N, len(QUANTILES), ...], of the signals on training frames.
    """

    names: tuple[str, ...]
    lip_basis: np.ndarray
    mean_pose: np.ndarray
    torso_tracked: np.ndarray
    torso_pose: np.ndarray
    torso_mean: np.ndarray
    lip_mean: np.ndarray
    lip_leak: np.ndarray
    lip_scale: np.ndarray
    eye_levels: np.ndarray
    brow_level: np.ndarray
    quantiles: structs.Signals

    def to_arrays(self) -> dict:
        """A nested dict of arrays, without the names."""
        arrays = {k: v for k, v in self._asdict().items() if k != "names"}
        return arrays | {"quantiles": self.quantiles._asdict()}

    @classmethod
    def from_arrays(cls, names, arrays: Mapping) -> "Fitted":
        """The inverse of `to_arrays`."""
        fields = {k: np.asarray(v) for k, v in arrays.items() if k != "quantiles"}
        quantiles = {k: np.asarray(v) for k, v in arrays["quantiles"].items()}
        return cls(tuple(names), quantiles=structs.Signals(**quantiles), **fields)

    def index(self, name: str) -> int:
        """Index of identity `name` on the leading axes.

        Raises:
          ValueError: it is not among the fitted identities.
        """
        if name not in self.names:
            raise ValueError(
                f"no signals were fitted for identity {name!r}, only for "
                f"{', '.join(self.names)}"
            )
        return self.names.index(name)


def fit_apply(
    tracks: Mapping[str, Tracks],
    train: Mapping[str, np.ndarray],
    lip_dim: int = 8,
    lip_basis: np.ndarray | None = None,
) -> tuple[Fitted, dict[str, structs.Signals]]:
    """Fits the signals of all identities, and applies them to every frame.

    Args:
      tracks: tracks of each identity, by name.
      train: bool [F] of each identity, the frames to fit on, which are no held-out
        ones; faceless frames among them are left out.
      lip_dim: number of coefficients of a new lip basis.
      lip_basis: [D_lip, 120], the basis of a prior, kept unchanged.

    Returns:
      the fitted parameters, and by name the signals of all frames, leaves [F, ...].

    Raises:
      ValueError: an identity has fewer than two frames to fit on.
    """
    names = tuple(tracks)
    rows = {name: train[name] & tracks[name].valid for name in names}
    for name in names:
        if rows[name].sum() < 2:
            raise ValueError(
                f"identity {name!r} has {rows[name].sum()} training frames with a "
                "face, signals need at least 2; use a longer clip or raise "
                "data.max_seconds"
            )
    fields = {name: _fit_one(tracks[name], rows[name]) for name in names}
    residuals = {name: fields[name].pop("residual") for name in names}
    if lip_basis is None:
        lip_basis = _shared_basis(list(residuals.values()), lip_dim)
    lip_basis = np.asarray(lip_basis, np.float32)
    floor = _LIP_FLOOR * np.sqrt(lip_basis.shape[1] / 3 / len(lip_basis))
    for name in names:
        moved = np.sqrt(np.mean((residuals[name] @ lip_basis.T) ** 2))
        fields[name]["lip_scale"] = np.maximum(moved, floor)

    def stack(key):
        return np.stack([fields[name][key] for name in names])

    fitted = Fitted(
        names=names,
        lip_basis=lip_basis,
        quantiles=structs.Signals(None, None, None, None),
        **{k: _as_stored(stack(k)) for k in fields[names[0]]},
    )
    applied = {name: apply(fitted, name, tracks[name]) for name in names}
    seen = [
        structs.Signals(
            *(
                np.quantile(leaf[rows[name]], QUANTILES, axis=0).astype(np.float32)
                for leaf in applied[name]
            )
        )
        for name in names
    ]
    quantiles = structs.Signals(*(np.stack(leaf) for leaf in zip(*seen, strict=True)))
    return fitted._replace(quantiles=quantiles), applied


def apply(fitted: Fitted, name: str, tracks: Tracks) -> structs.Signals:
    """Signals of every frame of `tracks`, float32, fitted to identity `name`.

    Frames without a face are interpolated between their neighbours, so that every row
    is finite.

    Raises:
      ValueError: `name` was not fitted, no frame has a face, or the torso is tracked
        here and was not when the signals were fitted (or the other way round).
    """
    n = fitted.index(name)
    valid = tracks.valid
    if not valid.any():
        raise ValueError(f"identity {name!r} has no frame with a face")
    if (tracks.torso_to_camera is not None) != bool(fitted.torso_tracked[n]):
        raise ValueError(
            f"identity {name!r}: either these tracks or the tracks that signals were "
            "fitted on lack torso_to_camera; prepare both in the same way"
        )
    pose = tracks.head_to_camera[valid].astype(np.float64)
    head = pose_vectors.to_vector(np.linalg.inv(fitted.mean_pose[n]) @ pose)
    torso = head
    if tracks.torso_to_camera is not None:
        relative = _relative_to_torso(pose, tracks.torso_to_camera[valid], fitted, n)
        torso = pose_vectors.to_vector(np.linalg.inv(fitted.torso_mean[n]) @ relative)

    shape = tracks.lips[valid].reshape(len(head), -1)
    residual = shape - fitted.lip_mean[n] - head @ fitted.lip_leak[n]
    lip = residual @ fitted.lip_basis.T / fitted.lip_scale[n]

    closed, opened = fitted.eye_levels[n]
    openness = (tracks.eye_ratio[valid] - closed) / (opened - closed)
    raised = (_brows(tracks, valid) - fitted.brow_level[n]) / _BROW_UNIT
    eye = np.column_stack(
        [np.clip(openness, *_EYE_LIMITS), np.clip(raised, *_BROW_LIMITS)]
    )
    return structs.Signals(
        lip=_fill(lip, valid),
        eye=_fill(eye, valid),
        head=_fill(head, valid),
        torso=lagged(_fill(torso, valid)),
    )


def lagged(vectors: np.ndarray) -> np.ndarray:
    """Torso signal [F, 6 * lags] of pose vectors [F, 6], the first one repeated."""
    at = np.arange(len(vectors))
    return np.concatenate(
        [vectors[np.maximum(at - lag, 0)] for lag in structs.TORSO_LAGS], -1
    )


def rest(fitted: Fitted, name: str) -> structs.Signals:
    """Signals of one frame at rest: median lips and brows, open eyes, mean pose."""
    n = fitted.index(name)
    median = QUANTILES.index(0.5)
    return structs.Signals(
        lip=fitted.quantiles.lip[n, median],
        eye=np.array(structs.EYE_REST, np.float32),
        head=np.zeros(6, np.float32),
        torso=np.zeros(6 * len(structs.TORSO_LAGS), np.float32),
    )


def _fit_one(tracks: Tracks, rows: np.ndarray) -> dict:
    pose = tracks.head_to_camera[rows].astype(np.float64)
    mean = pose_vectors.mean(pose)
    head = pose_vectors.to_vector(np.linalg.inv(mean) @ pose)

    torso_pose, torso_mean = np.eye(4), mean
    if tracks.torso_to_camera is not None:
        torso = tracks.torso_to_camera[rows].astype(np.float64)
        torso_pose = pose_vectors.mean(torso)
        torso_mean = pose_vectors.mean(torso_pose @ np.linalg.inv(torso) @ pose)

    shape = tracks.lips[rows].reshape(len(head), -1).astype(np.float64)
    moved = head - head.mean(0)
    gram = moved.T @ moved + len(moved) * np.diag(_RIDGE**2)
    leak = np.linalg.solve(gram, moved.T @ (shape - shape.mean(0)))
    # An error of the pose moves the lips rigidly. Other motion that correlates with the
    # head is habit and is kept: as a leak it would be lost when driving others.
    rigid = _rigid_directions(shape.mean(0))
    leak = leak @ rigid.T @ rigid
    lip_mean = shape.mean(0) - head.mean(0) @ leak

    return {
        "mean_pose": mean,
        "torso_tracked": np.bool_(tracks.torso_to_camera is not None),
        "torso_pose": torso_pose,
        "torso_mean": torso_mean,
        "lip_mean": lip_mean,
        "lip_leak": leak,
        "eye_levels": np.stack([_eye_levels(r) for r in tracks.eye_ratio[rows].T], -1),
        "brow_level": np.median(_brows(tracks, rows)),
        "residual": shape - lip_mean - head @ leak,
    }


def _eye_levels(ratio: np.ndarray) -> tuple[float, float]:
    """Closed and open level of one eye: median of its blinks' minima, percentile."""
    opened = max(np.percentile(ratio, _OPEN_PERCENTILE), 1e-3)
    blinks = np.zeros(len(ratio), np.int32)
    ndimage.label(ratio < _BLINK_SHARE * opened, output=blinks)
    count = blinks.max()
    if not count:
        return _CLOSED_SHARE * opened, opened
    bottoms = ndimage.minimum(ratio, blinks, np.arange(1, count + 1))
    return np.median(bottoms), opened


def _brows(tracks: Tracks, rows: np.ndarray) -> np.ndarray:
    return face_geometry.brow_heights(
        tracks.landmarks[rows], tracks.head_to_camera[rows]
    )


def _as_stored(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == bool else array.astype(np.float32)


def _relative_to_torso(pose, torso, fitted: Fitted, n: int) -> np.ndarray:
    """Poses of the head, moved as if the torso stayed at its mean pose."""
    return fitted.torso_pose[n] @ np.linalg.inv(torso.astype(np.float64)) @ pose


def _rigid_directions(shape: np.ndarray) -> np.ndarray:
    """Orthonormal [6, 3 * P], rigid motions of a shape [3 * P]."""
    points = shape.reshape(-1, 3)
    turns = [np.cross(axis, points).ravel() for axis in np.eye(3)]
    shifts = [np.tile(axis, len(points)) for axis in np.eye(3)]
    return np.linalg.qr(np.array(turns + shifts).T)[0].T


def _shared_basis(residuals: list[np.ndarray], lip_dim: int) -> np.ndarray:
    """Principal directions of lip motion; every identity has the same weight."""
    covariance = np.mean([r.T @ r / len(r) for r in residuals], 0)
    basis = np.linalg.eigh(covariance)[1][:, ::-1][:, :lip_dim].T
    # The sign of a direction is arbitrary; fixing it gives the same basis on every
    # machine.
    largest = np.abs(basis).argmax(1)
    return basis * np.sign(basis[np.arange(len(basis)), largest])[:, None]


def _fill(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Interpolates rows of the valid frames linearly to all frames."""
    at = np.flatnonzero(valid)
    frames = np.arange(len(valid))
    channels = [np.interp(frames, at, channel) for channel in values.T]
    return np.stack(channels, -1).astype(np.float32)
