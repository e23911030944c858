"""Deformation of the skin by lips and lids, and its exact inverse.

Mouth: the skin opens from the slit, up and down, then spreads sideways. Lids: the skin
above and below an eye slides towards a line low in the opening. Each step moves a point
along one axis by an increasing function of its place on that axis, so each step can be
inverted by bisection. Points are in the head frame at rest, metres; the state of a
frame is

  lip  [2], height of the opened mouth, metres, and its spread as a share of its width
  eye  [2], left and right opening, 0 closed to 1 open
"""

import numpy as np

from lokitalk_jax.demo import face, solids
from lokitalk_jax.demo.face import Rig

# Reach of the moving skin from the contour, metres.
_LIP_UP, _LIP_DOWN = 0.016, 0.027
_LID_UP, _LID_DOWN = 0.011, 0.010
_SPREAD_REACH = np.array([0.041, 0.028])

# Shares of the opening by which the upper lip and the upper lid move.
_LIP_SHARE, _LID_SHARE = 0.25, 0.8

# Skin moves fully in front of the first depth, and not at all behind the second.
_FRONT, _BACK = -0.020, 0.005

_BISECTIONS = 52


def move(rig: Rig, points: np.ndarray, lip: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Moves skin from `points` [P, 3] at rest."""
    return move_lids(rig, move_lips(rig, points, lip), eye)


def move_lips(rig: Rig, points: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """Opens, then spreads the mouth, from points [P, 3] at rest."""
    points = np.array(points)
    near = np.flatnonzero(_near_lips(rig, points))
    moved = points[near]
    moved[:, 1] += _opening(rig, lip[0], moved, _is_lower(rig, moved))
    moved[:, 0] += _spreading(rig, lip[1], moved)
    points[near] = moved
    return points


def unmove_lips(rig: Rig, points: np.ndarray, lip: np.ndarray) -> np.ndarray:
    """The inverse of `move_lips`, [P, 3]; points in the open mouth move to the slit."""
    points = np.array(points)
    near = _near_lips(rig, points)
    moved = points[near]
    reach = abs(lip[1]) * _SPREAD_REACH[0]
    moved[:, 0] = _solve(moved, 0, reach, lambda p: _spreading(rig, lip[1], p))
    lower = _is_lower(rig, moved)
    moved[:, 1] = _solve(
        moved, 1, abs(lip[0]), lambda p: _opening(rig, lip[0], p, lower)
    )
    points[near] = moved
    return points


def move_lids(rig: Rig, points: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Closes the lids, from points [P, 3] at rest."""
    points = np.array(points)
    for side in range(2):
        near = np.flatnonzero(_near_eye(rig, side, points))
        moved = points[near]
        lower = _is_lower_lid(rig, side, moved, 1.0)
        points[near, 1] += _closing(rig, side, eye[side], moved, lower)
    return points


def unmove_lids(rig: Rig, points: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """The inverse of `move_lids`, [P, 3]; points in the opening move to an edge."""
    points = np.array(points)
    for side in range(2):
        near = _near_eye(rig, side, points)
        moved = points[near]
        lower = _is_lower_lid(rig, side, moved, eye[side])
        reach = rig.eye_upper[side] + rig.eye_lower[side]
        moved[:, 1] = _solve(
            moved,
            1,
            reach,
            lambda p, side=side, lower=lower: _closing(rig, side, eye[side], p, lower),
        )
        points[near] = moved
    return points


def lip_reach(rig: Rig, points: np.ndarray) -> np.ndarray:
    """Distance that an open vowel and a smile move skin at `points`, metres, [P]."""
    opened = _opening(rig, 0.014, points, _is_lower(rig, points))
    return np.hypot(opened, _spreading(rig, 0.05, points))


def lid_reach(rig: Rig, points: np.ndarray) -> np.ndarray:
    """Distance that a blink moves skin at `points`, metres, [P]."""
    total = np.zeros(len(points))
    for side in range(2):
        lower = _is_lower_lid(rig, side, points, 1.0)
        total += np.abs(_closing(rig, side, 0.0, points, lower))
    return total


def _opening(rig, height, points, lower):
    """Downward motion of the skin as the mouth opens by `height`."""
    x, y = points[:, 0], points[:, 1]
    away = np.maximum(np.where(lower, 1, -1) * (y - face.slit_y(rig, x)), 0)
    half_width = rig.slit_half_width + 0.35 * away
    across = np.maximum(1 - np.square(x / half_width), 0) ** 1.5
    along = face.bump(away / np.where(lower, _LIP_DOWN, _LIP_UP))
    share = np.where(lower, 1 - _LIP_SHARE, -_LIP_SHARE)
    return height * share * across * along * _in_front(points)


def _spreading(rig, spread, points):
    """Sideways motion of the skin as the mouth widens by the share `spread`."""
    apart = np.stack([points[:, 0], points[:, 1] - rig.slit_height - 0.004], -1)
    far = np.linalg.norm(apart / _SPREAD_REACH, axis=-1)
    return spread * points[:, 0] * face.bump(far) * _in_front(points)


def _closing(rig, side, eye, points, lower):
    """Downward motion of the skin as an eye closes from 1 to `eye`."""
    x, y = points[:, 0], points[:, 1]
    top, bottom = face.lid_curves(rig, side, x)
    away = np.maximum(np.where(lower, y - bottom, top - y), 0)
    along = face.bump(away / np.where(lower, _LID_DOWN, _LID_UP))
    share = np.where(lower, _LID_SHARE - 1, _LID_SHARE)
    return (1 - eye) * (bottom - top) * share * along * _in_front(points)


def _is_lower(rig, points):
    return points[:, 1] > face.slit_y(rig, points[:, 0])


def _is_lower_lid(rig, side, points, eye):
    """Whether points belong to the lower lid when the eye is open by `eye`."""
    top, bottom = face.lid_curves(rig, side, points[:, 0])
    gap = bottom - top
    moved = (1 - eye) * gap
    border = (top + _LID_SHARE * moved + bottom - (1 - _LID_SHARE) * moved) / 2
    return points[:, 1] > border


def _in_front(points):
    return solids.smooth((_BACK - points[:, 2]) / (_BACK - _FRONT))


def _near_lips(rig, points):
    apart = np.abs(points - [0, rig.slit_height, 0])
    return (apart[:, 0] < 0.06) & (apart[:, 1] < 0.055) & (points[:, 2] < _BACK)


def _near_eye(rig, side, points):
    apart = np.abs(points[:, :2] - [rig.eye_centre[side], rig.eye_middle[side]])
    return (
        (apart[:, 0] < rig.eye_half_width[side])
        & (apart[:, 1] < 0.04)
        & (points[:, 2] < _BACK)
    )


def _solve(points, axis, reach, motion):
    """Solves rest + motion(rest) = point along an axis, |motion| <= reach."""
    target = points[:, axis].copy()
    trial = points.copy()
    low, high = target - reach - 1e-9, target + reach + 1e-9
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        trial[:, axis] = middle
        beyond = middle + motion(trial) > target
        high = np.where(beyond, middle, high)
        low = np.where(beyond, low, middle)
    return (low + high) / 2
