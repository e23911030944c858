"""Bundle adjustment of rigid points and their poses in the frames of a clip.

Both fits are Gauss-Newton: the normal equations of points and poses are reduced to the
points by the Schur complement, those of smooth poses are banded, so time and memory
grow linearly with the number of frames.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.spatial.transform import Rotation, Slerp

# Second differences of the motion: radians and metres per frame squared.
SMOOTH_SIGMA = np.array([1 / 600] * 3 + [0.001] * 3)
# Errors beyond this many sigmas have a constant influence (Huber), so that a wrong
# track or a cut in the clip does little harm; fast motion is also followed more
# closely than by least squares, as a comparison with optical flow shows.
HUBER = 4.0

MAX_STEPS = 30
STEP_TOLERANCE = 1e-6  # radians and metres
_PARTS = 0.5 ** np.arange(8)  # of a step, tried until the cost falls
_CHUNK = 250  # frames whose derivatives are in memory at once
_RISE = 1.01  # of the cost: rounding and changed weights may raise it by less


class Seen(NamedTuple):
    """Where n points were seen in F frames.

    Attributes:
      places: [F, n, 2], image coordinates of focal length 1.
      sigma: standard deviation of their errors.
      weights: [F, n], of the squared errors, zero where a point was not seen; None
        where all are 1.
      sharpness: [n, 2, 2], multiplies the error of each point, which may be known
        better in one direction than in another; None where all are the unit matrix.
    """

    places: np.ndarray
    sigma: float
    weights: np.ndarray | None = None
    sharpness: np.ndarray | None = None

    def part(self, frames: slice) -> "Seen":
        """The same in some of the frames."""
        weights = None if self.weights is None else self.weights[frames]
        return self._replace(places=self.places[frames], weights=weights)


class SeenLater(NamedTuple):
    """The same, of which a few frames are in memory at once.

    Attributes:
      read: gives `Seen` in the frames of these numbers, int [N].
      frames: int [F], their numbers.
    """

    read: Callable[[np.ndarray], Seen]
    frames: np.ndarray

    def part(self, frames: slice) -> Seen:
        """Where the points were seen in some of the frames."""
        return self.read(self.frames[frames])


def _turned(points, rotations):
    return points @ rotations.transpose(0, 2, 1)


def project(points, rotations, translations):
    """Image coordinates [F, n, 2], focal length 1, of points [n, 3]."""
    seen = _turned(points, rotations) + translations[:, None]
    return seen[..., :2] / seen[..., 2:]


def _huber(size):
    return np.minimum(1, HUBER / np.maximum(size, 1e-12))


def _linearise(points, rotations, translations, seen):
    """Errors in sigmas [F, 2n], and their derivatives, both weighted.

    Returns:
      errors [F, 2n], with respect to poses [F, 2n, 6] (a rotation vector applied from
      the left, then a shift) and to points in the camera frame [F, n, 2, 3].
    """
    turned = _turned(points, rotations)
    x, y, z = np.moveaxis(turned + translations[:, None], 2, 0)
    error = np.stack([x / z, y / z], 2) - seen.places
    zero = np.zeros_like(z)
    to_point = np.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], 2)
    to_point = to_point.reshape(*z.shape, 2, 3)
    if seen.sharpness is not None:
        error = (seen.sharpness @ error[..., None])[..., 0]
        to_point = seen.sharpness @ to_point
    weight = 1 / seen.sigma
    weight *= np.sqrt(_huber(np.linalg.norm(error, axis=2) / seen.sigma))
    if seen.weights is not None:
        weight *= np.sqrt(seen.weights)
    to_point *= weight[..., None, None]
    # d(exp(w) q)/dw = w x q, hence the derivative's rows are q x row.
    to_turn = np.cross(turned[:, :, None], to_point)
    to_pose = np.concatenate([to_turn, to_point], 3)
    count = 2 * len(points)
    return (
        (error * weight[..., None]).reshape(-1, count),
        to_pose.reshape(-1, count, 6),
        to_point,
    )


def _moved(rotations, translations, step):
    turn = Rotation.from_rotvec(step[:, :3]).as_matrix()
    return turn @ rotations, translations + step[:, 3:]


def fit_points(prior, rotations, translations, seen, spread):
    """Fits points [n, 3] that are seen in all frames, aligned to a prior.

    Turning, moving and scaling head and camera together changes no image. Only the
    prior depends on it, and so keeps the points aligned to those of the prior in the
    least-squares sense.

    Args:
      prior: [n, 3], metres.
      rotations, translations: of the frames, to start from.
      seen: see `Seen`.
      spread: standard deviation of the points about the prior, metres; a number or
        [n].
    """
    count = len(prior)
    points = prior
    stiffness = np.broadcast_to(1 / np.square(spread), count)[:, None]
    for _ in range(MAX_STEPS):
        errors, to_pose, to_point = _linearise(points, rotations, translations, seen)
        to_point = to_point @ rotations[:, None]
        pose_pose = to_pose.transpose(0, 2, 1) @ to_pose
        split_pose = to_pose.reshape(-1, count, 2, 6)
        pose_point = np.einsum("fnia,fnib->fanb", split_pose, to_point)
        pose_point = pose_point.reshape(-1, 6, 3 * count)
        split_errors = errors.reshape(-1, count, 2)
        pose_gradient = np.einsum("fka,fk->fa", to_pose, errors)
        point_gradient = np.einsum("fnib,fni->nb", to_point, split_errors)
        point_gradient += stiffness * (points - prior)
        blocks = np.einsum("fnia,fnib->nab", to_point, to_point)

        eliminated = np.linalg.solve(pose_pose, pose_point)  # [F, 6, 3n]
        reduced = np.asarray(linalg.block_diag(*blocks))
        reduced += np.diag(np.repeat(stiffness, 3))
        reduced -= np.einsum("fak,fal->kl", pose_point, eliminated, optimize=True)
        right = point_gradient.ravel()
        right = right - np.einsum("fak,fa->k", eliminated, pose_gradient)
        point_step = -linalg.solve(reduced, right, assume_a="pos")
        pose_step = -np.linalg.solve(pose_pose, pose_gradient[..., None])[..., 0]
        pose_step -= eliminated @ point_step

        cost = _cost(errors, points, prior, stiffness)
        for part in _PARTS:
            tried = points + part * point_step.reshape(count, 3)
            turned, moved = _moved(rotations, translations, part * pose_step)
            errors, _, _ = _linearise(tried, turned, moved, seen)
            if _cost(errors, tried, prior, stiffness) < _RISE * cost:
                break
        else:
            break  # no step along this way is better
        points, rotations, translations = tried, turned, moved
        if np.abs(point_step).max() < STEP_TOLERANCE:
            break
    return points


def _cost(errors, points, prior, stiffness):
    return np.square(errors).sum() + (stiffness * np.square(points - prior)).sum()


def fit_poses(points, rotations, translations, seen, frames):
    """Fits the poses to the points, smooth over successive frames.

    Args:
      points: [n, 3], metres.
      rotations, translations: to start from.
      seen: `Seen` or `SeenLater`.
      frames: [F], their numbers.

    Returns:
      Rotations [F, 3, 3] and translations [F, 3].
    """
    successive = (np.diff(frames, n=2) == 0) & (frames[2:] - frames[:-2] == 2)
    found = _equations(points, rotations, translations, seen, successive)
    for _ in range(MAX_STEPS):
        bands = _banded(found.blocks, found.stiffness)
        step = -linalg.solveh_banded(bands, found.gradient.ravel(), lower=True)
        step = step.reshape(-1, 6)
        for part in _PARTS:
            moved = _moved(rotations, translations, part * step)
            tried = _equations(points, *moved, seen, successive)
            if tried.cost < _RISE * found.cost:
                break
        else:
            break  # no step along this way is better
        (rotations, translations), found = moved, tried
        if np.abs(step).max() < STEP_TOLERANCE:
            break
    return rotations, translations


class _Equations(NamedTuple):
    """Normal equations of F poses.

    Attributes:
      blocks: [F, 6, 6], of each frame's points.
      stiffness: [F - 2, 6], of the second differences.
      gradient: [F, 6].
      cost: infinite where a point lies behind the camera.
    """

    blocks: np.ndarray
    stiffness: np.ndarray
    gradient: np.ndarray
    cost: float


def _equations(points, rotations, translations, seen, successive) -> _Equations:
    """Derivatives of all frames of a long clip would fill the memory."""
    count, cost = len(rotations), 0.0
    blocks, gradient = np.empty((count, 6, 6)), np.empty((count, 6))
    for first in range(0, count, _CHUNK):
        part = slice(first, first + _CHUNK)
        turned, moved = rotations[part], translations[part]
        depth = (_turned(points, turned) + moved[:, None])[..., 2]
        errors, to_pose, _ = _linearise(points, turned, moved, seen.part(part))
        blocks[part] = to_pose.transpose(0, 2, 1) @ to_pose
        gradient[part] = np.einsum("fka,fk->fa", to_pose, errors)
        cost += np.square(errors).sum() if (depth > 0).all() else np.inf

    turns = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
    steps = Rotation.from_matrix(turns).as_rotvec() if len(turns) else turns[..., 0]
    motion = np.concatenate([steps, np.diff(translations, axis=0)], 1)
    bend = np.diff(motion, axis=0) / SMOOTH_SIGMA
    weight = np.repeat(successive[:, None].astype(float), 2, 1)
    weight *= _huber(np.linalg.norm(bend.reshape(-1, 2, 3), axis=2))
    weight = np.repeat(weight, 3, 1)  # [F - 2, 6]
    cost += (weight * np.square(bend)).sum()
    pull = weight / SMOOTH_SIGMA * bend
    for offset, factor in enumerate((1, -2, 1)):
        gradient[offset : len(pull) + offset] += factor * pull
    return _Equations(blocks, weight / np.square(SMOOTH_SIGMA), gradient, float(cost))


def _banded(blocks, stiffness):
    """Normal equations of all poses, as the lower bands [13, 6 F] of a matrix.

    Args:
      blocks: [F, 6, 6], of each frame's landmarks.
      stiffness: [F - 2, 6], of the second differences.
    """
    count, inner = len(blocks), len(stiffness)
    bands = np.zeros((13, count, 6))
    for row in range(6):
        for column in range(row + 1):
            bands[row - column, :, column] = blocks[:, row, column]
    differences = (1, -2, 1)
    for first, a in enumerate(differences):
        for second, b in enumerate(differences[first:], first):
            band = 6 * (second - first)
            bands[band, first : inner + first] += a * b * stiffness
    return bands.reshape(13, -1)


def interpolate(rotations, translations, frames, count):
    """Interpolates poses of `frames` to all frames, float32 [count, 4, 4]."""
    poses = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    times = np.clip(np.arange(count), frames[0], frames[-1])
    if len(frames) > 1:
        rotations = Slerp(frames, Rotation.from_matrix(rotations))(times).as_matrix()
    poses[:, :3, :3] = rotations
    for axis in range(3):
        poses[:, axis, 3] = np.interp(times, frames, translations[:, axis])
    return poses
