"""Controls of a viewer: pose, eyes, lips and camera, set by hand."""

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.data.clip_records import ClipRecord

# The point that a camera turns about: inside the head, behind the nose; metres.
_CENTRE = np.array([0.0, 0.03, 0.06])
_SEEN = 1, 99  # percentiles of the training frames that ranges span


class Controls(NamedTuple):
    """Changes of a frame's motion and of its camera; the defaults change nothing.

    Attributes:
      lip: added to the first lip coefficients.
      eye: factor of the openness of the eyes.
      turn, nod, tilt: added to the head's pose, degrees.
      yaw, pitch: angles by which the camera circles the head, degrees.
      distance: factor of the camera's distance.
    """

    lip: tuple[float, ...] = ()
    eye: float = 1.0
    turn: float = 0.0
    nod: float = 0.0
    tilt: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    distance: float = 1.0


class Ranges(NamedTuple):
    """Ranges [low, high] of the training frames, of controls.

    Attributes:
      lip: of each lip coefficient.
      turn, nod, tilt: of the head about rest, degrees; the camera's are the same.
    """

    lip: list[tuple[float, float]]
    turn: tuple[float, float]
    nod: tuple[float, float]
    tilt: tuple[float, float]


def check(controls: Controls, record: ClipRecord) -> None:
    """Refuses controls that cannot be used.

    Raises:
      ValueError: a number is not finite, there are too many lip coefficients, or a
        factor is not positive.
    """
    dim = len(record.rest.lip)
    if len(controls.lip) > dim:
        raise ValueError(
            f"controls.lip has {len(controls.lip)} numbers; give at most {dim}, one "
            "for each lip coefficient of the avatar"
        )
    for name, value in controls._asdict().items():
        if not np.isfinite(value).all():
            raise ValueError(f"controls.{name}={value} must be finite")
    if controls.eye < 0 or not 0.2 <= controls.distance <= 5:
        raise ValueError(
            f"controls.eye={controls.eye:g} must be at least 0, and "
            f"controls.distance={controls.distance:g} between 0.2 and 5"
        )


def ranges(record: ClipRecord) -> Ranges:
    """The ranges that an avatar has seen in training."""

    def spread(values: np.ndarray) -> tuple[float, float]:
        low, high = np.percentile(values, _SEEN)
        return float(low), float(high)

    seen = record.train_frames
    head = np.degrees(record.signals.head[seen] - record.rest.head)
    lip = record.signals.lip[seen] - record.rest.lip
    return Ranges(
        [spread(column) for column in lip.T],
        turn=spread(head[:, 1]),
        nod=spread(head[:, 0]),
        tilt=spread(head[:, 2]),
    )


def apply(record: ClipRecord, frame: FrameMotion, controls: Controls) -> FrameMotion:
    """A frame's motion with the controls.

    Args:
      record: of the avatar.
      frame: its motion, with the camera where the head signal puts it.
      controls: see `Controls`.
    """
    angles = (controls.nod, controls.turn, controls.tilt)
    offset = np.zeros(6, np.float32)
    offset[:3] = np.radians(angles)
    lip = frame.signals.lip.copy()
    lip[: len(controls.lip)] += np.asarray(controls.lip, np.float32)
    signals = structs.Signals(
        lip=lip,
        eye=np.float32(controls.eye) * frame.signals.eye,
        head=frame.signals.head + offset,
        # The torso's signal is the head's pose at several lags.
        torso=frame.signals.torso + np.resize(offset, frame.signals.torso.shape),
    )
    pose = motion.head_pose(record, signals.head)
    return FrameMotion(_seen_from(record, pose, controls), signals)


def _seen_from(record: ClipRecord, pose: np.ndarray, controls: Controls) -> np.ndarray:
    """A pose [4, 4] seen by a camera that has circled the head at rest."""
    if (controls.yaw, controls.pitch, controls.distance) == (0, 0, 1):
        return pose
    turn = np.eye(4)
    angles = math.radians(controls.pitch), math.radians(controls.yaw)
    turn[:3, :3] = Rotation.from_euler("xy", angles).as_matrix()
    turn[:3, 3] = _CENTRE - turn[:3, :3] @ _CENTRE
    rest = record.rest_pose
    seen = rest @ turn @ np.linalg.inv(rest) @ pose
    seen[2, 3] *= controls.distance
    return seen.astype(np.float32)
