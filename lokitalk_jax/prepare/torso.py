"""How the torso moves: its pixels registered to one reference frame.

Shoulders follow a head by an amount that differs from person to person and from minute
to minute, so the head's pose does not tell where they are; their picture does.

Gauss-Newton on the difference of grey values (Lucas and Kanade, 1981) over a shift, a
turn and a scale in the image plane. Clothes are often plain, and then some of these
can hardly be told apart: a prior towards the neighbouring frame settles it.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.data import layout

# Longest side of the images that are registered, pixels.
SIDE = 128

# Where the neck is, behind the head frame's origin: the depth at which a shift of
# pixels becomes metres.
_NECK_BEHIND = 0.06

# A frame counts as registered from this correlation with the reference on, a clip from
# this share of frames; a torso that fills less of the frame than this is not tracked.
_CORRELATION = 0.6
_REGISTERED = 0.9
_AREA = 0.02

# Edges of the torso show its motion best, and lie just outside its label.
_MARGIN = 2
_BLURS = (4.0, 1.5)  # pixels, from coarse to fine
_ITERATIONS = 12  # at each
_STEP = 2.0  # pixels from frame to frame that the prior allows for
_INDEPENDENT = 1 / 30  # share of the pixels whose noise is their own


class Motion(NamedTuple):
    """Where the torso is in F frames, beside where the reference has it.

    Attributes:
      warp: float32 [F, 2, 3], from pixels of the reference to pixels of the frame; a
        turn, a scale and a shift.
      correlation: float32 [F], with the reference; 0 where registration failed.
    """

    warp: np.ndarray
    correlation: np.ndarray

    @property
    def registered(self) -> np.ndarray:
        """Which frames' motion [F] can be trusted."""
        return self.correlation >= _CORRELATION


def reference_frame(head_to_camera: np.ndarray, valid: np.ndarray) -> int:
    """The frame whose head is nearest to where it usually is."""
    place = head_to_camera[:, :3, 3]
    distance = np.linalg.norm(place - np.median(place[valid], axis=0), axis=1)
    return int(np.argmin(np.where(valid, distance, np.inf)))


def register(
    read_rgb: Callable[[int], np.ndarray],
    labels: np.ndarray,
    reference: int,
    count: int,
    done: Callable[[], object] = lambda: None,
) -> Motion:
    """Registers every frame's torso to the reference's.

    Args:
      read_rgb: gives a frame, uint8 [H, W, 3].
      labels: uint8 [H, W], of the reference; see `layout`.
      reference: its index.
      count: F.
      done: is called after each frame.
    """
    scale = SIDE / max(labels.shape)

    def shrunk(image: np.ndarray, interpolation=cv2.INTER_AREA) -> np.ndarray:
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)

    def grey(index: int) -> np.ndarray:
        return cv2.cvtColor(shrunk(read_rgb(index)), cv2.COLOR_RGB2GRAY)

    motion = Motion(
        np.tile(np.eye(2, 3, dtype=np.float32), (count, 1, 1)),
        np.zeros(count, np.float32),
    )
    labels = shrunk(labels, cv2.INTER_NEAREST)
    torso = (labels == layout.TORSO).astype(np.uint8)
    if torso.mean() < _AREA:
        return motion
    torso = cv2.dilate(torso, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    registration = _Registration(grey(reference), (torso > 0) & (labels != layout.HEAD))

    # From the reference outwards, so that each frame starts where its neighbour is.
    for order in (range(reference, count), range(reference - 1, -1, -1)):
        parameters = np.zeros(4)
        for index in order:
            found, correlation = registration.solve(grey(index), parameters)
            if correlation >= _CORRELATION:
                parameters = found
                motion.correlation[index] = correlation
            motion.warp[index] = registration.warp(parameters)
            motion.warp[index, :, 2] /= scale
            done()
    return motion


class _Registration:
    """A template to which images are registered.

    Parameters are four numbers in pixels: the turn and the logarithm of the scale, both
    times the torso's radius, and the shift of its middle.
    """

    def __init__(self, template: np.ndarray, mask: np.ndarray):
        """Takes the template uint8 [H, W] and the pixels that count, bool [H, W]."""
        self._mask = mask
        self._templates = [_blurred(template, blur)[mask] for blur in _BLURS]
        places = np.argwhere(mask)[:, ::-1].astype(np.float64)
        self._middle = places.mean(0)
        self._places = places - self._middle
        self._radius = np.sqrt((self._places**2).sum(1).mean())

    def _linear(self, parameters: np.ndarray) -> np.ndarray:
        angle, size = parameters[:2] / self._radius
        c, s = np.exp(size) * np.cos(angle), np.exp(size) * np.sin(angle)
        return np.array([[c, -s], [s, c]])

    def warp(self, parameters: np.ndarray) -> np.ndarray:
        """The warp [2, 3] from pixels of the template to pixels of the image."""
        linear = self._linear(parameters)
        shift = self._middle + parameters[2:] - linear @ self._middle
        return np.concatenate([linear, shift[:, None]], 1)

    def solve(self, image: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Parameters of `image`, which `start` is near to, and the correlation."""
        parameters = start
        for template, blur in zip(self._templates, _BLURS, strict=True):
            smooth = _blurred(image, blur)
            slopes = [
                cv2.Sobel(smooth, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))
            ]
            for _ in range(_ITERATIONS):
                values, *slope = (
                    cv2.warpAffine(
                        channel,
                        self.warp(parameters),
                        self._mask.shape[::-1],
                        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                        borderMode=cv2.BORDER_REPLICATE,
                    )[self._mask]
                    for channel in (smooth, *slopes)
                )
                parameters, step = self._step(
                    parameters, start, values, np.stack(slope), template
                )
                if np.abs(step).max() < 0.01:
                    break
        return parameters, float(np.corrcoef(values, template)[0, 1])

    def _step(self, parameters, start, values, slope, template):
        """New parameters, and by how much they changed, of one Gauss-Newton step."""
        gain = template.std() / max(values.std(), 1e-6)
        residual = gain * (values - values.mean()) - (template - template.mean())
        x, y = self._linear(parameters) @ self._places.T / self._radius
        gradient = gain * np.stack(
            [slope[1] * x - slope[0] * y, slope[0] * x + slope[1] * y, *slope]
        )
        # Hair and hands in front of the clothes count little (Cauchy's weights).
        noise = 1.5 * np.median(np.abs(residual)) + 1e-3
        weighted = _INDEPENDENT * gradient / (1 + (residual / (2 * noise)) ** 2)
        prior = noise**2 / _STEP**2
        normal = weighted @ gradient.T + prior * np.eye(4)
        step = -np.linalg.solve(
            normal, weighted @ residual + prior * (parameters - start)
        )
        return parameters + step, step


def _blurred(image: np.ndarray, blur: float) -> np.ndarray:
    return cv2.GaussianBlur(image.astype(np.float32), None, blur)


def poses(
    motion: Motion,
    head_to_camera: np.ndarray,
    valid: np.ndarray,
    focal: float,
    principal: tuple[float, float],
) -> np.ndarray | None:
    """`torso_to_camera` [F, 4, 4], metres, or None where the torso was not tracked.

    What moves and turns in the image is taken to do so across the camera's axis, what
    grows to come nearer. The torso's frame is the camera's, as it is in the reference.

    Args:
      motion: of the torso.
      head_to_camera: [F, 4, 4], metres.
      valid: bool [F], where `head_to_camera` means something.
      focal: focal length, pixels.
      principal: principal point (x, y), pixels.
    """
    known = motion.registered
    if known.mean() < _REGISTERED:
        return None
    frames = np.arange(len(known))
    neck = np.median(head_to_camera[valid, 2, 3]) + _NECK_BEHIND
    centre = np.array(principal)
    cosine, sine = motion.warp[:, 0, 0], motion.warp[:, 1, 0]
    shift = motion.warp[..., :2] @ centre + motion.warp[..., 2] - centre
    angle, size, x, y = (
        np.interp(frames, frames[known], values[known])
        for values in (np.arctan2(sine, cosine), np.hypot(sine, cosine), *shift.T)
    )
    depth = neck / size
    torso = np.tile(np.eye(4, dtype=np.float32), (len(known), 1, 1))
    torso[:, 0, 0] = torso[:, 1, 1] = np.cos(angle)
    torso[:, 1, 0], torso[:, 0, 1] = np.sin(angle), -np.sin(angle)
    torso[:, 0, 3], torso[:, 1, 3] = x * depth / focal, y * depth / focal
    torso[:, 2, 3] = depth - neck
    return torso
