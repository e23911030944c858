"""The bodies of the demo cast: one triangle mesh a person, at rest, in the head frame.

A face with a skull, ears, hair, eyeballs, the inside of the mouth, and a bust.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import least_squares

from lokitalk_jax import face_mesh
from lokitalk_jax.demo import face as faces_
from lokitalk_jax.demo import hair, solids
from lokitalk_jax.demo.looks import Looks

# Materials; the material of a point decides its motion.
SKIN, HAIR, TORSO, INSIDE = range(4)

# Tiles of the texture: left, top, size, in units of the face's tile.
TILES = {
    "face": (0.0, 0.0, 1.0),
    "torso": (1.0, 0.0, 0.75),
    "hair": (0.0, 1.0, 0.75),
    "skull": (1.0, 0.75, 0.4),
    "mouth": (1.4, 0.75, 0.35),
    "eye_left": (0.75, 1.15, 0.3),
    "eye_right": (1.05, 1.15, 0.3),
    "ears": (1.4, 1.15, 0.3),
    "back_hair": (0.75, 1.45, 0.3),
    "jaw": (1.05, 1.45, 0.3),
    "bun": (1.4, 1.45, 0.3),
}
TEXTURE_SIZE = 1.75

# The neck turns about this point, head frame, metres.
NECK_PIVOT = np.array([0.0, 0.11, 0.06])
IRIS_RADIUS = 0.0062


# The bust: height, half width, half depth, and depth of its axis, metres.
_BUST = np.array(
    [
        (0.020, 0.050, 0.050, 0.052),
        (0.090, 0.050, 0.052, 0.058),
        (0.118, 0.052, 0.055, 0.062),
        (0.134, 0.064, 0.058, 0.064),
        (0.148, 0.096, 0.066, 0.068),
        (0.162, 0.138, 0.075, 0.072),
        (0.180, 0.172, 0.082, 0.076),
        (0.205, 0.194, 0.090, 0.080),
        (0.250, 0.206, 0.098, 0.084),
        (0.330, 0.214, 0.104, 0.085),
        (0.420, 0.216, 0.106, 0.085),
    ]
)


class Person(NamedTuple):
    """A person at rest.

    Attributes:
      vertices: [V, 3], head frame at rest, metres; the first 468 are the landmarks.
      triangles: int [T, 3]; edge cross products point out of the body.
      uv: [V, 2], texture coordinates in units of the face's tile.
      material: int [V], one of SKIN, HAIR, TORSO, INSIDE.
      parts: vertex range of each part.
      irises: [2, 5, 3], iris landmarks of the left, then the right eye.
      rig: of the mouth and the lids.
      looks: of the person.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    parts: dict[str, slice]
    irises: np.ndarray
    rig: faces_.Rig
    looks: Looks


def build_person(looks: Looks) -> Person:
    """Builds a person's mesh."""
    face = faces_.build_face(looks)
    balls = [_eyeball(face, eye, looks.head_size) for eye in range(2)]
    parts = [("face", SKIN, face.vertices, face.uv, face.triangles)]
    grids = [
        ("skull", SKIN, hair.skull_back(looks)),
        ("jaw", SKIN, _under_jaw(face)),
        ("ears", SKIN, _ears(looks)),
        *((name, HAIR, grid) for name, grid in hair.hair(looks)),
        ("torso", TORSO, _bust(looks)),
        ("mouth", INSIDE, _mouth_inside(face)),
        ("eye_left", INSIDE, balls[0][0]),
        ("eye_right", INSIDE, balls[1][0]),
    ]
    for name, material, grid in grids:
        parts.append(
            (name, material, grid.reshape(-1, 3), *solids.grid_mesh(grid.shape[:2]))
        )
    triangles, uvs, ranges, count = [], [], {}, 0
    for name, _, points, uv, corners in parts:
        left, top, size = TILES[name]
        uvs.append(np.array([left, top]) + size * (0.02 + 0.96 * uv))
        triangles.append(_outward(points, corners, name) + count)
        ranges[name] = slice(count, count + len(points))
        count += len(points)
    return Person(
        np.concatenate([points for _, _, points, _, _ in parts]),
        np.concatenate(triangles),
        np.concatenate(uvs),
        np.concatenate([np.full(len(part[2]), part[1]) for part in parts]),
        ranges,
        np.stack([iris for _, iris in balls]),
        face.rig,
        looks,
    )


def _outward(points: np.ndarray, triangles: np.ndarray, name: str) -> np.ndarray:
    """Turns all triangles of a part so that their normals leave the body."""
    behind = 0.1 if name in ("face", "mouth", "eye_left", "eye_right") else 0.0
    inside = points.mean(0) + [0, 0, behind]
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    volume = np.sum(np.cross(b - a, c - a) * (a - inside))
    return triangles if volume > 0 else triangles[:, ::-1]


def _under_jaw(face: faces_.Face) -> np.ndarray:
    """A rim from the border of the face backwards, which closes the gap behind it."""
    border = face.vertices[np.array(face_mesh.FACE_OVAL + face_mesh.FACE_OVAL[:1])]
    back = border * [0.72, 0.9, 0] + [0, 0, 0.05]
    along = np.linspace(0, 1, 5)[:, None, None]
    return border + (back - border) * along


def _ears(looks) -> np.ndarray:
    """Both ears in one grid; the sheet between them has no area outside the head."""
    s = looks.head_size
    grids = []
    for side in (-1, 1):
        at = np.array([side * 0.0775, -0.004, 0.030]) * s
        grid = solids.ellipsoid(0, np.array([0.0085, 0.031, 0.018]) * s, 10, 12)
        turned = grid @ solids.turn(1, side * 0.35).T @ solids.turn(0, -0.2).T
        grids.append(at + turned)
    return np.concatenate(grids)


def _bust(looks) -> np.ndarray:
    """A stack of ellipses from inside the head to below the frame."""
    heights = np.linspace(_BUST[0, 0], _BUST[-1, 0], 44)
    width, depth, axis = PchipInterpolator(_BUST[:, 0], _BUST[:, 1:])(heights).T
    broad = 1 + (looks.shoulder_width - 1) * np.clip((heights - 0.125) / 0.06, 0, 1)
    around = np.linspace(-np.pi, np.pi, 49)
    x = (width * broad)[:, None] * np.sin(around)
    z = axis[:, None] - depth[:, None] * np.cos(around)
    return np.stack([x, np.broadcast_to(heights[:, None], x.shape), z], -1)


def _mouth_inside(face: faces_.Face) -> np.ndarray:
    """A curved sheet 9 mm behind the lips: teeth and tongue are painted on it."""
    contour = face.vertices[np.array(face_mesh.LIPS_INNER[:11])]
    curve = np.polyfit(np.square(contour[:, 0]), contour[:, 2], 1)
    half = face.rig.slit_half_width * 1.25
    x, down = np.meshgrid(np.linspace(-half, half, 17), np.linspace(-0.012, 0.028, 17))
    depth = np.polyval(curve, np.square(x)) + 0.009
    return np.stack([x, faces_.slit_y(face.rig, x) + down, depth], -1)


def _eyeball(face: faces_.Face, eye: int, size: float):
    """A cap of a ball that the lids clear, and the iris landmarks on it [5, 3]."""
    rig = face.rig
    contour = face.vertices[np.array((face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE)[eye])]
    radius = 0.0165 * size

    def misfit(centre):
        return np.linalg.norm(contour - centre, axis=-1) - radius

    centre = least_squares(misfit, contour.mean(0) + [0, 0, radius]).x
    radius = np.linalg.norm(contour - centre, axis=-1).min() - 0.0016 * size
    a, b = np.meshgrid(np.radians(np.linspace(-75, 75, 17)), np.linspace(-1.1, 1.1, 15))
    ball = np.stack([np.sin(a) * np.cos(b), np.sin(b), -np.cos(a) * np.cos(b)], -1)
    iris = np.array([rig.eye_centre[eye], rig.eye_middle[eye] - 0.0006])
    around = IRIS_RADIUS * size * np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]])
    flat = iris + around - centre[:2]
    ahead = -np.sqrt(np.square(radius) - np.sum(np.square(flat), -1))
    landmarks = centre + np.concatenate([flat, ahead[:, None]], -1)
    return centre + radius * ball, landmarks
