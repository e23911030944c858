"""Sync-C and Sync-D by SyncNet's published weights (Chung and Zisserman 2016).

Also called LSE-C and LSE-D (Wav2Lip). The weights, syncnet_v2.model, are not part of
this project: the user supplies the file. Faces are cropped as in the published program,
but around our landmarks instead of its detector's boxes, so the scores differ slightly
from those that it prints.
"""

import functools
from collections.abc import Callable, Iterable

import cv2
import jax
import numpy as np
import python_speech_features
import scipy.signal

from lokitalk_jax import structs
from lokitalk_jax.evaluation.contrib import syncnet_network

FRAMES = 5  # in a window of frames
_COLUMNS = 20  # of cepstra in the same window
_RATE = 100  # cepstra a second
_PER_FRAME = _RATE // structs.FPS
_SIDE = 224  # pixels
_MAX_SHIFT = 15  # frames
_BATCH = 8

_embed_sound = jax.jit(syncnet_network.embed_sound)
_embed_lips = jax.jit(syncnet_network.embed_lips)


def distances(lips: np.ndarray, sound: np.ndarray) -> tuple[float, float, int]:
    """Sync-C, Sync-D and the lag, from the distances of embeddings at each shift.

    The distance is averaged over the clip for each shift within 15 frames. The sound's
    embeddings are padded with zeros, as in the published program.

    Args:
      lips: embeddings [T, 1024].
      sound: embeddings [T, 1024].

    Returns:
      confidence (median less minimum of the distances), minimum distance, and lag in
      frames, positive if the lips are late.
    """
    padded = np.pad(sound, ((_MAX_SHIFT, _MAX_SHIFT), (0, 0)))
    means = np.array(
        [
            # The published program adds a small number before it squares.
            np.linalg.norm(lips - padded[k : k + len(lips)] + 1e-6, axis=1).mean()
            for k in range(2 * _MAX_SHIFT + 1)
        ]
    )
    best = int(means.argmin())
    confidence = float(np.median(means) - means[best])
    return confidence, float(means[best]), _MAX_SHIFT - best


def boxes(landmarks: np.ndarray) -> np.ndarray:
    """Squares around the faces of a clip, median filtered over time.

    Args:
      landmarks: [F, 478, 3], pixels; NaN in frames without a face.

    Returns:
      [F, 3], centre x and y, and half the longer side, pixels.

    Raises:
      ValueError: there is no face in any frame.
    """
    points = landmarks[..., :2]
    there = np.isfinite(points).all((1, 2))
    if not there.any():
        raise ValueError(
            "syncnet needs faces, and no frame shows one; leave syncnet out"
        )
    low, high = points[there].min(1), points[there].max(1)
    found = np.c_[(low + high) / 2, (high - low).max(1) / 2]
    at = np.arange(len(points))
    steady = [np.interp(at, at[there], column) for column in found.T]
    width = min(13, len(points) - (len(points) + 1) % 2)
    return np.stack([scipy.signal.medfilt(column, width) for column in steady], 1)


def crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Crops a face, with room below the chin and at its sides.

    Args:
      frame: uint8 RGB [H, W, 3].
      box: centre x and y, half side.

    Returns:
      uint8 BGR [224, 224, 3].
    """
    x, y, half = box
    room = int(half * 1.8)
    grey = (110, 110, 110)
    frame = cv2.copyMakeBorder(
        frame, room, room, room, room, cv2.BORDER_CONSTANT, value=grey
    )
    x, y = x + room, y + room
    part = frame[int(y - half) : int(y + half * 1.8)]
    part = part[:, int(x - half * 1.4) : int(x + half * 1.4)]
    return cv2.resize(part, (_SIDE, _SIDE))[..., ::-1]


def score(
    weights: dict[str, np.ndarray],
    frames: Iterable[np.ndarray],
    landmarks: np.ndarray,
    samples: np.ndarray,
) -> dict[str, float]:
    """Scores a clip; its frames are streamed.

    Args:
      weights: see `syncnet_network.load`.
      frames: all F frames in order, uint8 RGB [H, W, 3].
      landmarks: [F, 478, 3], pixels; NaN in frames without a face.
      samples: float [S], 16 kHz mono in [-1, 1].

    Returns:
      {"sync_c", "sync_d", "sync_offset_frames"}; the offset is positive if the lips are
      late.

    Raises:
      ValueError: there is no face, or the clip is shorter than SyncNet's window.
    """
    cepstra = python_speech_features.mfcc(samples * 32768.0, structs.AUDIO_RATE)
    count = min(len(landmarks), len(samples) // (structs.AUDIO_RATE // structs.FPS))
    count = min(count - FRAMES + 1, (len(cepstra) - _COLUMNS) // _PER_FRAME + 1)
    if count < 1:
        raise ValueError(
            f"{len(landmarks)} frames with {len(samples) / structs.AUDIO_RATE:.2f} s "
            f"of sound are too short for SyncNet, whose window has {FRAMES} frames; "
            "leave syncnet out"
        )
    placed = jax.device_put(weights)
    sound = np.stack([cepstra[_PER_FRAME * i :][:_COLUMNS].T for i in range(count)])
    embed_sound = functools.partial(_embed_sound, placed)
    embed_lips = functools.partial(_embed_lips, placed)
    sound = _batched(embed_sound, sound.astype(np.float32))
    where, recent, waiting, seen = boxes(landmarks), [], [], []
    for index, frame in enumerate(frames):
        recent = [*recent[-FRAMES + 1 :], crop(frame, where[index])]
        if len(recent) == FRAMES and len(seen) + len(waiting) < count:
            waiting.append(np.stack(recent).astype(np.float32))
        if len(waiting) == _BATCH:
            seen.extend(np.asarray(embed_lips(np.stack(waiting))))
            waiting = []
    if waiting:
        seen.extend(_batched(embed_lips, np.stack(waiting)))
    confidence, distance, late = distances(np.stack(seen), sound[: len(seen)])
    return {"sync_c": confidence, "sync_d": distance, "sync_offset_frames": late}


def _batched(
    embed: Callable[[np.ndarray], jax.Array], values: np.ndarray
) -> np.ndarray:
    """Embeds in batches of one size, so that only one program is compiled."""
    padding = -len(values) % _BATCH
    padded = np.concatenate([values, np.repeat(values[-1:], padding, 0)])
    parts = [embed(part) for part in padded.reshape(-1, _BATCH, *values.shape[1:])]
    return np.concatenate(parts)[: len(values)]
