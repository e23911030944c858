"""Fits the poses of a frame's head and torso to its picture, against a trained avatar.

The avatar is rendered; its head and its torso are then each moved rigidly, in front of
the camera, to where the true picture has them (Lucas and Kanade, 1981, on the rendered
depth), and so on for a few rounds, of which the nearest to the picture counts. Six
numbers of the head and six of the torso change and nothing else: neither lips and eyes
nor the avatar.
"""

from typing import NamedTuple

import cv2
import jax
import numpy as np
from scipy.spatial.transform import Rotation

from lokitalk_jax import structs
from lokitalk_jax.avatar.frames import FrameRenderer
from lokitalk_jax.avatar.motion import FrameMotion
from lokitalk_jax.data import pose_vectors
from lokitalk_jax.data.clip_records import ClipRecord
from lokitalk_jax.model.rendering import Rendered

_ROUNDS = 4
_BLUR = 1.0  # pixels
# A round turns and shifts by about this much, radians and metres, where the pictures
# say little; and the share of the pixels whose errors are independent.
_TURN, _SHIFT = 0.01, 0.003
_INDEPENDENT = 1 / 300
# Depth is averaged over neighbours, pixels; transparent ones hardly count.
_NEIGHBOURS, _OPAQUE_POWER = 2.0, 16
_VISIBLE = 0.05  # weights below this are not used


class Fitted(NamedTuple):
    """A frame after the fit.

    Attributes:
      motion: of the frame.
      head_px, torso_px: how far pixels of the region moved, pixels, mean weighted by
        the squared slopes of the picture, which show a misplacement; NaN where the
        region is not seen.
    """

    motion: FrameMotion
    head_px: float
    torso_px: float


def fit(
    renderer: FrameRenderer, record: ClipRecord, start: FrameMotion, truth: np.ndarray
) -> Fitted:
    """Fits the poses of a frame.

    Args:
      renderer: of the avatar.
      record: of the avatar's clip.
      start: motion of the frame, as tracked.
      truth: uint8 [H, W, 3], the frame.
    """
    plate = record.plate.astype(np.float32) / 255
    colours = truth.astype(np.float32) / 255
    intrinsics = renderer.camera.intrinsics
    moves, motion = [np.eye(4), np.eye(4)], start
    best, least = (start, list(moves)), np.inf
    seen: list[tuple[np.ndarray, np.ndarray] | None] = [None, None]
    steep = np.sum([slope**2 for slope in _slopes(colours)], 0).mean(-1)
    for done in range(_ROUNDS + 1):
        maps = jax.device_get(renderer(motion.head_to_camera, motion.signals, plate))
        # The fields follow a new pose too, which a rigid move does not foresee.
        error = np.mean((maps.rgb - colours) ** 2)
        if error < least:
            best, least = (motion, list(moves)), error
        if done == _ROUNDS:
            break
        points = surface(maps, intrinsics)
        for region, weights in enumerate(_weights(maps)):
            if not (weights > _VISIBLE).any():
                continue
            step = align(colours, maps.rgb, weights, points, float(intrinsics[0]))
            moves[region] = step @ moves[region]
            if seen[region] is None:
                seen[region] = weights * steep, points
        motion = moved(record, start, *moves)
    motion, moves = best
    head_px, torso_px = (
        float("nan") if one is None else _pixels(move, *one, float(intrinsics[0]))
        for move, one in zip(moves, seen, strict=True)
    )
    return Fitted(motion, head_px, torso_px)


def moved(
    record: ClipRecord, start: FrameMotion, head: np.ndarray, torso: np.ndarray
) -> FrameMotion:
    """Motion after head and torso each moved by [4, 4] in the camera frame, metres."""
    before = start.head_to_camera.astype(np.float64)
    pose = head @ before
    signal = pose_vectors.to_vector(np.linalg.inv(record.rest_pose) @ pose)
    # The torso's signal is the head's pose relative to the torso.
    relative = np.linalg.inv(before) @ np.linalg.inv(torso) @ pose
    now = pose_vectors.from_vector(start.signals.torso[:6].astype(np.float64))
    at_torso = pose_vectors.to_vector(now @ relative)
    signals = start.signals._replace(
        head=signal.astype(np.float32),
        torso=np.concatenate([at_torso, start.signals.torso[6:]]).astype(np.float32),
    )
    return FrameMotion(pose.astype(np.float32), signals)


def surface(maps: Rendered, intrinsics: np.ndarray) -> np.ndarray:
    """Points that pixels show, in the camera frame, float32 [H, W, 3], metres.

    Args:
      maps: of the render.
      intrinsics: [3], see `structs.Camera`.
    """
    height, width = maps.alpha.shape
    opaque = maps.alpha**_OPAQUE_POWER + 1e-6
    total = cv2.GaussianBlur(opaque, (0, 0), _NEIGHBOURS)
    depth = cv2.GaussianBlur(maps.depth * opaque, (0, 0), _NEIGHBOURS) / total
    depth *= structs.UNIT
    rows, columns = np.indices((height, width), np.float32) + 0.5
    focal, x, y = intrinsics
    rays = np.stack(
        [(columns - x) / focal, (rows - y) / focal, np.ones_like(rows)], axis=-1
    )
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return (rays * depth[..., None]).astype(np.float32)


def align(
    truth: np.ndarray,
    rendered: np.ndarray,
    weights: np.ndarray,
    points: np.ndarray,
    focal: float,
) -> np.ndarray:
    """One Gauss-Newton step towards the rigid motion that aligns two pictures.

    Args:
      truth, rendered: float32 [H, W, 3] in [0, 1].
      weights: [H, W], of the pixels of the moving part.
      points: [H, W, 3], in the camera frame, metres.
      focal: focal length, pixels.

    Returns:
      the motion [4, 4] in the camera frame, metres.
    """
    used = weights > _VISIBLE
    truth, rendered = (cv2.GaussianBlur(x, (0, 0), _BLUR) for x in (truth, rendered))
    slopes = [slope[used] for slope in _slopes((truth + rendered) / 2)]
    residual = (truth - rendered)[used]
    weights, points = weights[used], points[used].astype(np.float64)
    centre = np.average(points, axis=0, weights=weights)
    flow = _flow(points, centre, focal)
    # The picture at a pixel changes by minus its slope times the flow.
    change = -np.einsum("nci,nik->nck", np.stack(slopes, -1), flow)
    noise = 2.2 * float(np.median(np.abs(residual))) + 1e-3
    robust = weights[:, None] / (1 + (residual / (2 * noise)) ** 2)
    weighted = _INDEPENDENT * robust[..., None] * change
    prior = noise**2 * np.array([_TURN**-2] * 3 + [_SHIFT**-2] * 3)
    normal = np.einsum("nck,ncl->kl", weighted, change) + np.diag(prior)
    step = np.linalg.solve(normal, np.einsum("nck,nc->k", weighted, residual))
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    motion[:3, 3] = centre - motion[:3, :3] @ centre + step[3:]
    return motion


def _slopes(picture: np.ndarray) -> list[np.ndarray]:
    """Slopes [H, W, 3] of a picture along x and along y, for each pixel."""
    return [cv2.Sobel(picture, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))]


def _flow(points: np.ndarray, centre: np.ndarray, focal: float) -> np.ndarray:
    """Derivatives [n, 2, 6] of pixels of points [n, 3] to a turn and a shift."""
    x, y, z = points.T
    zero = np.zeros_like(z)
    shift = np.stack([focal / z, zero, -focal * x / z**2], -1)
    shift = np.stack([shift, np.stack([zero, focal / z, -focal * y / z**2], -1)], 1)
    turn = np.cross((points - centre)[:, None], shift)
    return np.concatenate([turn, shift], -1)


def _weights(maps: Rendered) -> tuple[np.ndarray, np.ndarray]:
    """Weights [H, W] of head and torso, with their outlines; no lips and eyes."""
    lip, eye, head, torso = np.moveaxis(np.asarray(maps.regions), -1, 0)
    head, torso = map(_outlined, (head, torso))
    still = np.clip(1 - 2 * np.maximum(lip, eye), 0, 1)
    return (
        head * np.clip(1 - 1.5 * torso, 0, 1) * still,
        torso * np.clip(1 - 1.5 * head, 0, 1),
    )


def _outlined(region: np.ndarray) -> np.ndarray:
    inside = (region > 0.5).astype(np.float32)
    return cv2.GaussianBlur(cv2.dilate(inside, np.ones((5, 5))), (0, 0), 1)


def _pixels(
    move: np.ndarray, weights: np.ndarray, points: np.ndarray, focal: float
) -> float:
    """Mean distance that a motion [4, 4] moves pixels by."""
    used = weights > 0
    before = points[used].astype(np.float64)
    after = before @ move[:3, :3].T + move[:3, 3]
    apart = after[:, :2] / after[:, 2:] - before[:, :2] / before[:, 2:]
    distance = focal * np.linalg.norm(apart, axis=1)
    return float(np.average(distance, weights=weights[used]))
