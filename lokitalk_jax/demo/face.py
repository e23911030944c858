"""Faces of the demo cast: MediaPipe's canonical mesh, warped to a person.

The mouth is shut and the eyes are open at rest, and both are cut out along curves in
closed form, so that the motion of lips and lids has an exact inverse.
"""

import functools
import pathlib
from typing import NamedTuple

import numpy as np

from lokitalk_jax import face_mesh
from lokitalk_jax.demo.looks import Looks

# Distance of contour vertices from their curve, metres: the side of the slit is then
# certain from the coordinates.
SIDE = 2e-6

_CONTOURS = (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE)


class Rig(NamedTuple):
    """Curves and reaches of the mouth and the lids at rest, metres, head frame.

    The slit is y = height + bend x^2 for |x| < half_width. An eye's opening lies
    between y = middle + tilt (x - centre) - upper (1 - t^2) and ... + lower (1 - t^2),
    t = (x - centre) / half_width. Eyes are the person's left, then right.
    """

    slit_height: float
    slit_bend: float
    slit_half_width: float
    eye_centre: np.ndarray
    eye_middle: np.ndarray
    eye_tilt: np.ndarray
    eye_half_width: np.ndarray
    eye_upper: np.ndarray
    eye_lower: np.ndarray


class Face(NamedTuple):
    """The face at rest: vertices [V, 3] m, uv [V, 2], triangles [T, 3], and its rig."""

    vertices: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    rig: Rig


def build_face(looks: Looks) -> Face:
    """Builds a person's face; the first 468 vertices are the landmarks."""
    mesh = canonical_mesh()
    vertices, rig = _shape(mesh["vertices"], looks)
    vertices, uv, triangles = _subdivide(vertices, mesh["uv"], _cut(mesh["triangles"]))
    return Face(_snap(vertices, triangles, rig), uv, triangles, rig)


@functools.cache
def canonical_mesh() -> dict[str, np.ndarray]:
    """MediaPipe's canonical face: vertices [468, 3] m in the head frame, uv, triangles.

    Texture coordinates are turned so that v runs down the face.
    """
    path = pathlib.Path(face_mesh.__file__).with_name("canonical_face_468.npz")
    with np.load(path) as stored:
        vertices = stored["vertices_cm"].astype(np.float64) * [0.01, -0.01, -0.01]
        uv = stored["uv"].astype(np.float64)
        triangles = stored["triangles"].astype(np.int64)
    if uv[10, 1] > uv[152, 1]:
        uv[:, 1] = 1 - uv[:, 1]
    return {"vertices": vertices, "uv": uv, "triangles": triangles}


def bump(distance: np.ndarray) -> np.ndarray:
    """1 at 0, falling smoothly to 0 at 1: (1 - d^2)^2 of distances d [...]."""
    return np.square(np.maximum(1 - np.square(distance), 0))


def slit_y(rig: Rig, x: np.ndarray) -> np.ndarray:
    """Height of the closed mouth's line at x [...], metres."""
    return rig.slit_height + rig.slit_bend * np.square(x)


def lid_curves(rig: Rig, eye: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of an eye's open upper and lower lid at x [...], equal outside it."""
    t = (x - rig.eye_centre[eye]) / rig.eye_half_width[eye]
    middle = rig.eye_middle[eye] + rig.eye_tilt[eye] * (x - rig.eye_centre[eye])
    arch = np.maximum(1 - t * t, 0)
    return middle - rig.eye_upper[eye] * arch, middle + rig.eye_lower[eye] * arch


def _shape(base: np.ndarray, looks: Looks) -> tuple[np.ndarray, Rig]:
    """Warps the canonical vertices to a person's: mouth shut, eyes open."""
    v = base.copy()
    x, y = base[:, 0], base[:, 1]
    low = np.clip((y - 0.0) / 0.09, 0, 1)
    v[:, 0] *= 1 + (looks.jaw_width - 1) * low
    v[:, 1] *= looks.face_length
    near_nose = np.exp(-np.square(x / 0.013)) * np.exp(-np.square((y - 0.008) / 0.016))
    v[:, 2] -= 0.012 * (looks.nose - 1) * near_nose
    v[:, 0] += x * (looks.nose - 1) * 0.6 * near_nose
    for side in (-1, 1):
        around = np.hypot(x - side * 0.0315, (y + 0.026) / 0.8) / 0.035
        v[:, 0] += side * (looks.eye_spacing - 0.063) / 2 * bump(around)
    around_mouth = bump(np.hypot(x / 0.045, (y - 0.043) / 0.035))
    v[:, 1] -= looks.smile * np.square(x / 0.0246) * around_mouth
    v[:, 1] += (v[:, 1] - 0.043) * (looks.lip_fullness - 1) * bump((y - 0.043) / 0.02)
    v *= looks.head_size

    upper, lower = _halves(face_mesh.LIPS_INNER)
    line = (v[upper] + v[lower[::-1]]) / 2
    bend, _, height = np.polyfit(line[:, 0], line[:, 1], 2)
    half_width = float(abs(v[upper[[0, -1]], 0]).mean())
    target = functools.partial(np.polyval, [bend, 0, height])
    for contour, direction in ((upper, -1), (lower, 1)):
        _slide(v, v[contour], target, direction, 0.012)
    for pair in zip(upper, lower[::-1], strict=True):
        v[pair, 2] = v[pair, 2].mean()

    eyes = []
    for contour in _CONTOURS:
        ring = v[np.array(contour)]
        corners = ring[[0, 8]]
        middle = corners.mean(0)
        half = abs(corners[1, 0] - corners[0, 0]) / 2
        tilt = (corners[1, 1] - corners[0, 1]) / (corners[1, 0] - corners[0, 0])
        opening = looks.eye_height * looks.head_size
        eyes.append((middle[0], middle[1], tilt, half, 0.66 * opening, 0.34 * opening))
    rig = Rig(float(height), float(bend), half_width, *np.array(eyes).T)
    for eye, contour in enumerate(_CONTOURS):
        for which, half in enumerate(_halves(contour)):
            curve = functools.partial(_lid, rig, eye, which)
            _slide(v, v[half], curve, (-1, 1)[which], 0.014)
    return v, rig


def _lid(rig: Rig, eye: int, which: int, x: np.ndarray) -> np.ndarray:
    return lid_curves(rig, eye, x)[which]


def _slide(v, contour, target, direction: int, reach: float) -> None:
    """Moves the skin on one side of a contour up or down so it meets a curve."""
    order = np.argsort(contour[:, 0])
    xs, ys = contour[order, 0], contour[order, 1]
    across = np.interp(v[:, 0], xs, ys)
    beyond = np.maximum(np.maximum(xs[0] - v[:, 0], v[:, 0] - xs[-1]), 0)
    past = direction * (v[:, 1] - across)
    moved = past > -1e-9
    shift = target(np.clip(v[:, 0], xs[0], xs[-1])) - across
    v[moved, 1] += (shift * bump(np.hypot(past, beyond) / reach))[moved]


def _cut(triangles: np.ndarray) -> np.ndarray:
    """Takes out the triangles that close the mouth and the eyes."""
    for ring in (face_mesh.LIPS_INNER, *_CONTOURS):
        triangles = triangles[~np.isin(triangles, ring).all(1)]
    return triangles


def _subdivide(v, uv, triangles):
    """Splits each triangle in four, new vertices on the tangent planes of the old.

    Phong tessellation (Boubekeur and Alexa, 2008); borders stay straight.
    """
    normals = vertex_normals(v, triangles)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, inverse, count = np.unique(
        edges, axis=0, return_inverse=True, return_counts=True
    )
    a, b = v[edges[:, 0]], v[edges[:, 1]]
    middle = (a + b) / 2
    lifted = middle.copy()
    for end, index in ((a, edges[:, 0]), (b, edges[:, 1])):
        n = normals[index]
        lifted -= 0.5 * np.sum((middle - end) * n, -1, keepdims=True) * n
    # Heights stay: they separate the upper lip from the lower.
    lifted[:, 1] = middle[:, 1]
    middle = np.where((count == 2)[:, None], 0.25 * middle + 0.75 * lifted, middle)
    ab, bc, ca = (len(v) + inverse.reshape(-1, 3)).T
    a, b, c = triangles.T
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    triangles = np.concatenate([np.stack(quarter, -1) for quarter in quarters])
    uv = np.concatenate([uv, (uv[edges[:, 0]] + uv[edges[:, 1]]) / 2])
    return np.concatenate([v, middle]), uv, triangles


def _snap(v: np.ndarray, triangles: np.ndarray, rig: Rig) -> np.ndarray:
    """Puts border vertices of the mouth and the eyes on their curves exactly."""
    v = v.copy()
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    border = edges[count == 1]
    # Upper and lower lip touch, so the topology decides the side of a vertex.
    for half, side in zip(_halves(face_mesh.LIPS_INNER), (-1, 1), strict=True):
        indices = _between(border, half)
        v[indices, 1] = slit_y(rig, v[indices, 0]) + side * SIDE
        v[half[0], 1] = slit_y(rig, v[half[0], 0])
    for eye, contour in enumerate(_CONTOURS):
        for which, half in enumerate(_halves(contour)):
            indices = _between(border, half)
            side = (-SIDE, SIDE)[which]
            v[indices, 1] = lid_curves(rig, eye, v[indices, 0])[which] + side
    return v


def _halves(contour: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower half of a closed contour, from corner to corner."""
    middle = len(contour) // 2
    return (
        np.array(contour[: middle + 1]),
        np.array(contour[middle:] + contour[:1]),
    )


def _between(border: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Border vertices of one half of a contour, new ones included, less the corners."""
    touching = np.unique(border[np.isin(border, half[1:-1]).any(1)])
    return np.setdiff1d(touching, half[[0, -1]])


def vertex_normals(v: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3], weighted by area, to the side the triangles face."""
    corners = v[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(v)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(length, 1e-12)
