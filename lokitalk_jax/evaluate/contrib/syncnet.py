"""Sync-C and Sync-D, by SyncNet's published weights (Chung and Zisserman 2016).

Also called LSE-C and LSE-D (Wav2Lip). The weights, syncnet_v2.model, are not ours to
hand on: name a file that you have. Faces are cut out as in the published program, but
around our landmarks instead of its detector's boxes, so figures differ a little from
those that it prints.
"""

import functools
import pathlib
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import scipy.signal
from jax import lax

from lokitalk_jax import structs
from lokitalk_jax.evaluate.contrib import mfcc, torch_file

FRAMES = 5  # that are looked at together
_COLUMNS = 20  # of cepstra that are heard with them
_PER_FRAME = mfcc.RATE // structs.FPS
_SIDE = 224  # pixels
_MAX_SHIFT = 15  # frames
_BATCH = 8

# Layers by their numbers in the file: convolution (stride, padding), each followed by
# batch normalisation and a ReLU, and max pools (window, stride, padding).
_SOUND = (
    (0, (1, 1), (1, 1)),
    (4, (1, 1), (1, 1)),
    ((3, 3), (1, 2), (0, 0)),
    (8, (1, 1), (1, 1)),
    (11, (1, 1), (1, 1)),
    (14, (1, 1), (1, 1)),
    ((3, 3), (2, 2), (0, 0)),
    (18, (1, 1), (0, 0)),
)
_LIPS = (
    (0, (1, 2, 2), (0, 0, 0)),
    ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (4, (1, 2, 2), (0, 1, 1)),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    (8, (1, 1, 1), (0, 1, 1)),
    (11, (1, 1, 1), (0, 1, 1)),
    (14, (1, 1, 1), (0, 1, 1)),
    ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (18, (1, 1, 1), (0, 0, 0)),
)
_EPSILON = 1e-5  # of batch normalisation


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the weights.

    Returns:
      name to array, as published.

    Raises:
      ValueError: there is no such file, or it is not SyncNet's.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}; give syncnet_v2.model")
    weights = torch_file.read(path)
    wanted = {
        f"net{kind}{part}.0.weight" for kind in ("cnn", "fc") for part in ("aud", "lip")
    }
    if not wanted <= weights.keys():
        raise ValueError(
            f"{path} holds no SyncNet: {', '.join(sorted(wanted - weights.keys()))} "
            "missing; give syncnet_v2.model"
        )
    return weights


def embed_sound(weights: Any, cepstra: jax.Array) -> jax.Array:
    """Embeds sound [B, 13, 20] as [B, 1024]."""
    return _embed(weights, cepstra[:, None], _SOUND, "aud")


def embed_lips(weights: Any, frames: jax.Array) -> jax.Array:
    """Embeds faces [B, 5, 224, 224, 3], BGR from 0 to 255, as [B, 1024]."""
    return _embed(weights, jnp.moveaxis(frames, -1, 1), _LIPS, "lip")


def _embed(weights: Any, x: jax.Array, layers: tuple, part: str) -> jax.Array:
    def normalised(x: jax.Array, name: str) -> jax.Array:
        scale, shift, mean, variance = (
            weights[f"{name}.{key}"].reshape(1, -1, *[1] * (x.ndim - 2))
            for key in ("weight", "bias", "running_mean", "running_var")
        )
        return jax.nn.relu((x - mean) / jnp.sqrt(variance + _EPSILON) * scale + shift)

    def linear(x: jax.Array, name: str) -> jax.Array:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    for first, stride, padding in layers:
        pads = [(p, p) for p in padding]
        if isinstance(first, tuple):
            ones = (1, 1)
            x = lax.reduce_window(
                x,
                -jnp.inf,
                lax.max,
                ones + first,
                ones + stride,
                [(0, 0), (0, 0), *pads],
            )
            continue
        name = f"netcnn{part}.{first}"
        x = lax.conv_general_dilated(x, weights[f"{name}.weight"], stride, pads)
        bias = weights[f"{name}.bias"].reshape(1, -1, *[1] * (x.ndim - 2))
        x = normalised(x + bias, f"netcnn{part}.{first + 1}")
    x = linear(x.reshape(len(x), -1), f"netfc{part}.0")
    return linear(normalised(x, f"netfc{part}.1"), f"netfc{part}.3")


def distances(lips: np.ndarray, sound: np.ndarray) -> tuple[float, float, int]:
    """Sync-C, Sync-D and the shift of embeddings [T, 1024].

    Of each shift within 15 frames the mean distance; beyond the sound's ends there are
    zeros, as in the published program.

    Returns:
      confidence (median less least), distance (the least), and by how many frames the
      lips come late.
    """
    padded = np.pad(sound, ((_MAX_SHIFT, _MAX_SHIFT), (0, 0)))
    means = np.array(
        [
            # Its distance adds a small number before it squares.
            np.linalg.norm(lips - padded[k : k + len(lips)] + 1e-6, axis=1).mean()
            for k in range(2 * _MAX_SHIFT + 1)
        ]
    )
    best = int(means.argmin())
    confidence = float(np.median(means) - means[best])
    return confidence, float(means[best]), _MAX_SHIFT - best


def boxes(landmarks: np.ndarray) -> np.ndarray:
    """Squares around the faces of a clip, smoothed over time.

    Args:
      landmarks: [F, 478, 3], pixels; NaN where there is no face.

    Returns:
      [F, 3], centre x and y, and half the longer side, pixels.

    Raises:
      ValueError: there is no face in any frame.
    """
    points = landmarks[..., :2]
    there = np.isfinite(points).all((1, 2))
    if not there.any():
        raise ValueError("no face was found in any frame; SyncNet has nothing to see")
    low, high = points[there].min(1), points[there].max(1)
    found = np.c_[(low + high) / 2, (high - low).max(1) / 2]
    at = np.arange(len(points))
    steady = [np.interp(at, at[there], column) for column in found.T]
    width = min(13, len(points) - (len(points) + 1) % 2)
    return np.stack([scipy.signal.medfilt(column, width) for column in steady], 1)


def crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Cuts a face out, with room below the chin and at its sides.

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
    frames,
    landmarks: np.ndarray,
    samples: np.ndarray,
) -> dict[str, float]:
    """Scores a clip; its frames are streamed.

    Args:
      weights: from `load`.
      frames: uint8 RGB [H, W, 3] of all F frames, one after the other.
      landmarks: [F, 478, 3], pixels; NaN where there is no face.
      samples: float [S], 16 kHz mono in [-1, 1].

    Returns:
      {"sync_c", "sync_d", "sync_offset_frames"}, the last positive where lips are late.

    Raises:
      ValueError: there is no face, or the clip is shorter than SyncNet looks.
    """
    cepstra = mfcc.cepstra(samples * 32768.0)
    count = min(len(landmarks), len(samples) // (structs.AUDIO_RATE // structs.FPS))
    count = min(count - FRAMES + 1, (len(cepstra) - _COLUMNS) // _PER_FRAME + 1)
    if count < 1:
        raise ValueError(
            f"{len(landmarks)} frames with {len(samples) / structs.AUDIO_RATE:.2f} s "
            "of sound are too short for SyncNet, which looks at five frames together"
        )
    placed = jax.device_put(weights)
    sound = np.stack([cepstra[_PER_FRAME * i :][:_COLUMNS].T for i in range(count)])
    heard = _batched(functools.partial(_sound, placed), sound.astype(np.float32))
    where, recent, waiting, seen = boxes(landmarks), [], [], []
    for index, frame in enumerate(frames):
        recent = [*recent[-FRAMES + 1 :], crop(frame, where[index])]
        if len(recent) == FRAMES and len(seen) + len(waiting) < count:
            waiting.append(np.float32(recent))
        if len(waiting) == _BATCH:
            seen.extend(np.asarray(_lips(placed, np.stack(waiting))))
            waiting = []
    if waiting:
        seen.extend(_batched(functools.partial(_lips, placed), np.stack(waiting)))
    confidence, distance, late = distances(np.stack(seen), heard[: len(seen)])
    return {"sync_c": confidence, "sync_d": distance, "sync_offset_frames": late}


_sound, _lips = jax.jit(embed_sound), jax.jit(embed_lips)


def _batched(embed, values: np.ndarray) -> np.ndarray:
    """Embeds in batches of one size, so that one program is compiled."""
    padding = -len(values) % _BATCH
    padded = np.concatenate([values, np.repeat(values[-1:], padding, 0)])
    parts = [embed(part) for part in padded.reshape(-1, _BATCH, *values.shape[1:])]
    return np.concatenate(parts)[: len(values)]
