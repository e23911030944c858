"""Motion of the demo cast: signals and poses of every frame, and their amounts."""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.data import layout
from lokitalk_jax.demo import solids, voice
from lokitalk_jax.demo.shapes import NECK_PIVOT

# Position of the head in the camera frame at rest, metres.
REST = np.array([0.0, -0.010, 1.12])

# Hair turns about the middle of the skull, head frame, metres.
_HAIR_PIVOT = np.array([0.0, -0.018, 0.022])

# Hair hangs: it lags behind roll more than behind pitch and yaw.
_HAIR_LAG = np.array([0.25, 0.25, 1.0])

# Tracking errors: radians and metres of error per radian of the head's turn at
# pose_error = 1. A turn is mistaken partly for another turn and for a shift, but pitch
# not for more pitch, nor yaw for more yaw: that would look like a flatter head.
_ERROR_TURN = np.array([[0.0, 0.5, 0.0], [-0.5, 0.0, 0.0], [0.6, 0.6, -0.9]])
_ERROR_SHIFT = np.array([[0.1, 0.0, 0.06], [0.0, 0.1, -0.06], [0.0, 0.0, 0.0]])

_HOLD, _STEP = 0.48, 0.16  # seconds of a held turn, and of the step to the next
_LEVELS = (-20, -10, 10, 20)  # degrees


@dataclasses.dataclass(frozen=True)
class MotionStyle:
    """Amounts of motion.

    Attributes:
      mouth: height of the mouth in an open vowel, metres.
      spread: largest widening or narrowing of an open mouth, share of its width.
      blinks: per minute; people blink about 17 times.
      turn: standard deviation of the head's pitch, yaw and roll, degrees.
      shift: standard deviation of the head's translation x, y, z, metres.
      follow: share of the head's motion that the torso follows.
      sway: independent motion of the torso; standard deviation of its shift, metres.
      pose_error: error of the tracked pose, about this share of the head's turn.
      hair_lag: hair lags by this share of the head's roll, and by a quarter of it in
        pitch and yaw.
      controlled: the four regions move independently: pitch, yaw and roll step to
        +-20 degrees and are held, the mouth does not follow the speech, and each eye
        and the torso move independently.
    """

    mouth: float = 0.014
    spread: float = 0.10
    blinks: float = 17.0
    turn: tuple[float, float, float] = (3.0, 6.0, 2.5)
    shift: tuple[float, float, float] = (0.006, 0.003, 0.006)
    follow: float = 0.3
    sway: float = 0.004
    pose_error: float = 0.05
    hair_lag: float = 0.10
    controlled: bool = False


class Performance(NamedTuple):
    """The exact state of F frames; poses in metres.

    Attributes:
      lip: [F, 2], height of the opened mouth, metres, and spread (share of width).
      eye: [F, 2], left and right opening, 0 closed to 1 open.
      head: [F, 4, 4], true head_to_camera.
      tracked: [F, 4, 4], head_to_camera as tracked.
      hair: [F, 4, 4], hair to camera.
      torso: [F, 4, 4], torso to camera. The torso's frame is the head's at rest.
      rest: [4, 4], head_to_camera at rest, of all four.
    """

    lip: np.ndarray
    eye: np.ndarray
    head: np.ndarray
    tracked: np.ndarray
    hair: np.ndarray
    torso: np.ndarray
    rest: np.ndarray


def perform(
    speech: voice.Speech,
    frame_count: int,
    motion: MotionStyle,
    rng: np.random.Generator,
) -> Performance:
    """Moves a person to a speech; `rng` is the only source of randomness."""
    times = np.arange(frame_count) * voice.CONTROL_RATE // structs.FPS
    opening, spread = speech.opening[times], speech.spread[times]
    if motion.controlled:
        # In speech the mouth rests half of the time; here every opening is as frequent.
        opening, left, right, share = (_restless(rng, frame_count) for _ in range(4))
        eye, spread = np.stack([left, right], -1), 2 * share - 1
        turn = np.radians(_held_turns(rng, frame_count))
        shift = np.zeros((frame_count, 3))
        follow = 0.0
    else:
        eye = _blinks(rng, frame_count, motion.blinks)
        turn = np.radians(motion.turn) * _drift(rng, frame_count, 3, 0.45)
        shift = np.array(motion.shift) * _drift(rng, frame_count, 3, 0.6)
        # A speaker nods into the syllables a little.
        nod = gaussian_filter1d(opening, 0.08 * structs.FPS)
        turn[:, 0] += np.radians(1.5) * (nod - nod.mean())
        follow = motion.follow
    widening = motion.spread * spread * (0.3 + 0.7 * opening)
    lip = np.stack([motion.mouth * opening, widening], -1)
    # Rest is the mean pose of the training frames.
    train = layout.train_count(frame_count)
    if not motion.controlled:
        turn = turn - turn[:train].mean(0)
        shift = shift - shift[:train].mean(0)

    rest = rigid(np.zeros(3), REST)
    head = rest @ rigid(turn, shift, NECK_PIVOT)
    error = rigid(
        motion.pose_error * turn @ _ERROR_TURN.T,
        motion.pose_error * turn @ _ERROR_SHIFT.T,
    )
    lag = -motion.hair_lag * turn * _HAIR_LAG
    hair = head @ rigid(lag, np.zeros(3), _HAIR_PIVOT)
    own = motion.sway * _drift(rng, frame_count, 3, 0.8) * [1.0, 0.35, 0.5]
    lean = np.radians(150 * motion.sway) * _drift(rng, frame_count, 3, 0.8)
    sway = rigid(lean * [0.6, 1.0, 1.0], own, NECK_PIVOT + [0, 0.15, 0])
    with_head = rigid(follow * turn, follow * shift, NECK_PIVOT)
    torso = rest @ with_head @ sway
    return Performance(lip, eye, head, head @ error, hair, torso, rest)


def rigid(turn: np.ndarray, shift: np.ndarray, pivot=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Poses [..., 4, 4]: turn (rotation vector) about a pivot, then shift."""
    turn, shift = np.broadcast_arrays(turn, shift)
    pivot = np.asarray(pivot)
    pose = np.zeros((*turn.shape[:-1], 4, 4))
    rotation = Rotation.from_rotvec(turn.reshape(-1, 3)).as_matrix()
    pose[..., :3, :3] = rotation.reshape(*turn.shape[:-1], 3, 3)
    pose[..., :3, 3] = pivot + shift - pose[..., :3, :3] @ pivot
    pose[..., 3, 3] = 1
    return pose


def _drift(rng, count: int, channels: int, seconds: float) -> np.ndarray:
    """Smooth noise [count, channels] of unit deviation."""
    scale = seconds * structs.FPS
    noise = [voice.smooth_noise(rng, count, scale) for _ in range(channels)]
    return np.stack(noise, -1)


def _blinks(rng, count: int, per_minute: float) -> np.ndarray:
    """Both eyes' opening [count, 2]: closing in 0.1 s, opening in 0.2 s."""
    time = np.arange(count) / structs.FPS
    opening = 0.94 + 0.03 * voice.smooth_noise(rng, count, 0.8 * structs.FPS)
    at = rng.uniform(0.4, 1.2)
    while at < time[-1]:
        since = time - at
        closing = np.clip(1 + since / 0.10, 0, 1)
        reopening = np.clip(1 - (since - 0.05) / 0.20, 0, 1)
        shut = solids.smooth(np.where(since < 0, closing, reopening))
        opening = opening * (1 - 0.97 * shut)
        at += 0.5 + rng.gamma(2.0, max(60 / per_minute - 0.5, 0.1) / 2)
    return np.repeat(np.clip(opening, 0, 1)[:, None], 2, 1)


def _restless(rng, count: int) -> np.ndarray:
    """Opening [count] of an eye or a mouth; all values are about equally frequent."""
    return 0.5 + 0.5 * np.sin(1.7 * voice.smooth_noise(rng, count, 0.12 * structs.FPS))


def _held_turns(rng, count: int) -> np.ndarray:
    """Pitch, yaw, roll [count, 3] in degrees: steps about one axis at a time."""
    holds = int(np.ceil(count / structs.FPS / (_HOLD + _STEP))) + 1
    every = [(axis, level) for axis in range(3) for level in _LEVELS]
    targets = [np.zeros(3)]
    while len(targets) < holds:
        for axis, level in rng.permutation(every):
            targets.append(np.eye(3)[axis] * level)
    time = np.arange(count) / structs.FPS / (_HOLD + _STEP)
    index = np.floor(time).astype(int)
    held = _HOLD / (_HOLD + _STEP)
    t = solids.smooth((time - index - held) / (1 - held))[:, None]
    targets = np.array(targets)
    return targets[index] * (1 - t) + targets[index + 1] * t
