"""Faults of known kind and strength in a real clip, to see what scores react to.

Faults of motion are made in the landmarks of a clip, faults of pictures in some of its
frames.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax import face_mesh, structs
from lokitalk_jax.data import regions
from lokitalk_jax.evaluation import motion_scores
from lokitalk_jax.evaluation.metrics import mouth, transplant
from lokitalk_jax.evaluation.motion_scores import SoundEvents
from lokitalk_jax.media import sound_file, video_reader
from lokitalk_jax.preparation import faces

SIZE = 192  # pixels of the pictures
_PICTURES = 8
_OPEN = 0.03  # face widths: an opening that no closure has
_EYES = [*face_mesh.LEFT_EYE, *face_mesh.RIGHT_EYE]
# Whole pixels by which frames are moved before their landmarks are found again.
_DOWN, _RIGHT = 2, 3


class Footage(NamedTuple):
    """A clip.

    Attributes:
      landmarks: [F, 478, 3], pixels, with a face in each frame.
      again: the same, found in frames that were moved by a few pixels: with the
        detector's noise, so that scores of a perfect video are not perfect.
      events: of the sound of these frames.
      pictures: uint8 [P, S, S, 3], some of the frames.
      masks: float32 [P, S, S, 4], of these; the torso is what lies below the chin.
    """

    landmarks: np.ndarray
    again: np.ndarray
    events: SoundEvents
    pictures: np.ndarray
    masks: np.ndarray


def load(clip: pathlib.Path, model: pathlib.Path, span: range) -> Footage:
    """Reads frames `span` of a clip with a face in each."""
    kept = set(np.linspace(span.start, span.stop - 1, _PICTURES).round().astype(int))
    found, pictures = [], []
    with faces.FaceDetector(model) as detector:
        for index, frame in enumerate(video_reader.read_frames(clip)):
            if index not in span:
                continue
            moved = np.roll(frame, (_DOWN, _RIGHT), (0, 1))
            found.append([detector.detect(one)[0] for one in (frame, moved)])
            if index in kept:
                pictures.append((frame, found[-1][0]))
    landmarks, again = np.swapaxes(np.array(found, np.float64), 0, 1)
    sound = np.concatenate(list(sound_file.open_sound(clip).read()))
    events = motion_scores.sound_events(sound, span)
    assert events is not None
    return Footage(landmarks, again - [_RIGHT, _DOWN, 0], events, *_small(pictures))


def _small(pictures: list[tuple[np.ndarray, np.ndarray]]):
    """Pictures at `SIZE`, and their masks."""
    scale = SIZE / pictures[0][0].shape[0]
    shown = [
        cv2.resize(x, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for x, _ in pictures
    ]
    points = np.stack([scale * one for _, one in pictures]).astype(np.float32)
    shapes = regions.fit_shapes(points, np.ones(len(points), bool))
    row, column = np.mgrid[:SIZE, :SIZE]
    pixels = np.stack([column, row], -1).reshape(-1, 2).astype(np.float32) + 0.5
    masks = np.zeros((len(points), SIZE, SIZE, 4), np.float32)
    for index, one in enumerate(points):
        inner = regions.ellipses(shapes, np.array(index), pixels)
        masks[index, ..., :2] = inner.reshape(SIZE, SIZE, 2)
        chin = int(one[:, 1].max()) + 2
        masks[index, :chin, SIZE // 5 : -SIZE // 5, 2] = 1
        masks[index, chin:, :, 3] = 1
    return np.stack(shown), masks


def frozen_lips(footage: Footage, share: float) -> np.ndarray:
    """The first frame's lips in the first frames of each second."""
    sources = np.arange(len(footage.again))
    sources[sources % structs.FPS < share * structs.FPS] = 0
    return transplant.with_lips_of(footage.again, sources)


def small_lips(footage: Footage, amplitude: float) -> np.ndarray:
    """Lips that move less about their mean, seen from the head."""
    still = transplant.still_mouth(footage.again)
    lips = list(face_mesh.LIPS)
    found = footage.again.copy()
    found[:, lips] = still[:, lips] + amplitude * (found - still)[:, lips]
    return found


def leaking_lips(footage: Footage, share: float) -> np.ndarray:
    """Lips that speak in the first share of the silent frames."""
    silent = np.flatnonzero(footage.events.silent)
    silent = silent[: round(share * len(silent))]
    order = np.argsort(mouth.openings(footage.again))
    ends = order[len(order) // 10], order[-len(order) // 10]
    sources = np.arange(len(footage.again))
    # Closed and open in turn, three frames each.
    sources[silent] = np.where(np.arange(len(silent)) // 3 % 2, *ends)
    return transplant.with_lips_of(footage.again, sources)


def no_closures(footage: Footage, share: float) -> np.ndarray:
    """Lips that stay apart in the first share of the likely p, b and m."""
    openings = mouth.openings(footage.again)
    sources = np.arange(len(openings))
    events = np.flatnonzero(footage.events.closing)
    for event in events[: round(share * len(events))]:
        near = np.arange(max(event - 3, 0), min(event + 4, len(openings)))
        for frame in near[openings[near] < _OPEN]:
            around = np.arange(max(frame - 20, 0), min(frame + 21, len(openings)))
            fit = np.abs(openings[around] - _OPEN) + 1e-4 * np.abs(around - frame)
            sources[frame] = around[fit.argmin()]
    return transplant.with_lips_of(footage.again, sources)


def held_eyes(footage: Footage, share: float) -> np.ndarray:
    """Eyes that are half shut in the first frames of each second."""
    held = np.arange(len(footage.again)) % structs.FPS < share * structs.FPS
    found = footage.again.copy()
    middle = found[:, _EYES].mean(1, keepdims=True)
    shut = middle + (found[:, _EYES] - middle) * [1, 0.5, 1]
    found[:, _EYES] = np.where(held[:, None, None], shut, found[:, _EYES])
    return found


def jitter(footage: Footage, pixels: float) -> np.ndarray:
    """Every second frame moved to the right."""
    return _moved(footage.again, pixels * (np.arange(len(footage.again)) % 2), 0)


def wobble(footage: Footage, pixels: float) -> np.ndarray:
    """The head swings on a circle four times a second."""
    turn = 2 * np.pi * 4 * np.arange(len(footage.again)) / structs.FPS
    return _moved(footage.again, pixels * np.cos(turn), pixels * np.sin(turn))


def late(footage: Footage, frames: float) -> np.ndarray:
    """All frames late by a number of frames."""
    by = int(frames)
    return np.concatenate([np.repeat(footage.again[:1], by, 0), footage.again[:-by]])


def still_head(footage: Footage, amplitude: float) -> np.ndarray:
    """A head that moves less about its mean place."""
    rigid = list(face_mesh.RIGID)
    centre = footage.again[:, rigid, :2].mean(1)
    less = (amplitude - 1) * (centre - centre.mean(0))
    return _moved(footage.again, less[:, 0], less[:, 1])


def blur(footage: Footage, sigma: float) -> np.ndarray:
    """Pictures blurred; pixels."""
    return np.stack([cv2.GaussianBlur(x, None, sigma) for x in footage.pictures])


def blurred_mouth(footage: Footage, sigma: float) -> np.ndarray:
    """Lips blurred; pixels."""
    inside = footage.masks[..., :1]
    mixed = footage.pictures * (1 - inside) + blur(footage, sigma) * inside
    return np.uint8(np.rint(mixed))


def colour_cast(footage: Footage, strength: float) -> np.ndarray:
    """Red more and blue less by a share."""
    gains = np.array([1 + strength, 1, 1 - strength])
    return np.uint8(np.clip(footage.pictures * gains, 0, 255))


def torso_off(footage: Footage, pixels: float) -> np.ndarray:
    """The torso moved to the right."""
    move = np.array([[1, 0, pixels], [0, 1, 0]], np.float32)
    how = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    moved = [cv2.warpAffine(x, move, (SIZE, SIZE), **how) for x in footage.pictures]
    return np.where(footage.masks[..., 3:] > 0, np.stack(moved), footage.pictures)


def seam(footage: Footage, levels: float) -> np.ndarray:
    """The lips' region darker by some grey levels, with a sharp border."""
    inside = footage.masks[..., :1] > 0.5
    return np.uint8(np.clip(footage.pictures - levels * inside, 0, 255))


def _moved(landmarks: np.ndarray, x, y) -> np.ndarray:
    found = landmarks.copy()
    found[..., 0] += np.reshape(x, (-1, 1))
    found[..., 1] += np.reshape(y, (-1, 1))
    return found


Fault = Callable[[Footage, float], np.ndarray]
# Each fault with its strength in the table, and strengths to rank, weakest first.
MOTION: dict[str, tuple[Fault, float, tuple[float, ...]]] = {
    "small lips": (small_lips, 0.6, (0.85, 0.7, 0.5, 0.3)),
    "frozen lips": (frozen_lips, 1.0, (0.25, 0.5, 0.75, 1.0)),
    "late": (late, 1.0, (1.0, 2.0, 3.0, 5.0)),
    "no closures": (no_closures, 1.0, (0.25, 0.5, 0.75, 1.0)),
    "leaking lips": (leaking_lips, 1.0, (0.25, 0.5, 0.75, 1.0)),
    "wobble": (wobble, 3.0, (1.0, 2.0, 4.0, 6.0)),
    "jitter": (jitter, 3.0, (1.0, 2.0, 4.0, 6.0)),
    "still head": (still_head, 0.5, (0.8, 0.6, 0.4, 0.2)),
    "held eyes": (held_eyes, 1.0, (0.25, 0.5, 0.75, 1.0)),
}
PICTURES: dict[str, tuple[Fault, float, tuple[float, ...]]] = {
    "blur": (blur, 1.0, (0.5, 0.8, 1.2, 2.0)),
    "blurred mouth": (blurred_mouth, 1.0, (0.5, 0.8, 1.2, 2.0)),
    "colour cast": (colour_cast, 0.15, (0.03, 0.06, 0.12, 0.24)),
    "torso off": (torso_off, 2.0, (0.5, 1.0, 2.0, 4.0)),
    "seam": (seam, 12.0, (3.0, 6.0, 12.0, 24.0)),
}
