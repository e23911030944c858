"""Textures of the demo cast, painted at rest.

Light is painted with the colours, so that a point keeps its colour wherever it moves: a
deformation that explains the images is then the true one.
"""

import cv2
import numpy as np
from scipy import ndimage

from lokitalk_jax import face_mesh
from lokitalk_jax.demo import face, raster, shapes, solids
from lokitalk_jax.demo.looks import Looks

_BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)

_SPOTS = 0.024  # wavelength of the speckle, metres: eight pixels of a 128-pixel frame

# Towards the light, head frame: from the viewer's left, above and in front.
_LIGHT = np.array([-0.42, -0.55, -0.72])


def paint(person: shapes.Person, tile: int) -> np.ndarray:
    """The texture of a person, RGB float32 in [0, 1], the face's tile `tile` wide."""
    extent = int(np.ceil(shapes.TEXTURE_SIZE * tile))
    uv = person.uv * tile
    hits = raster.rasterise(
        uv, np.ones(len(uv)), person.triangles, (extent, extent), cull=False
    )
    at = hits.interpolate(person.vertices, person.triangles)
    normals = face.vertex_normals(person.vertices, person.triangles)
    normals = hits.interpolate(normals, person.triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    light = np.clip(normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0, 1)
    light = (0.66 + 0.42 * light)[:, None]

    rng = np.random.default_rng(person.looks.texture_seed)
    first = person.triangles[hits.triangle, 0]
    colour = np.zeros((len(at), 3))
    for name, span in person.parts.items():
        here = (first >= span.start) & (first < span.stop)
        painter = _PAINTERS[name]
        colour[here] = painter(person, at[here], rng)
        if name in ("mouth", "eye_left", "eye_right"):
            light[here] = 1
    image = np.zeros((extent * extent, 3), np.float32)
    image[hits.pixel] = colour * light
    covered = np.zeros(extent * extent, bool)
    covered[hits.pixel] = True
    image, covered = image.reshape(extent, extent, 3), covered.reshape(extent, extent)
    _paint_face(image[:tile, :tile], person.looks, tile, rng)
    if person.looks.speckle:
        moving = np.isin(person.material[first], (shapes.SKIN, shapes.HAIR))
        bare = image.reshape(-1, 3)[hits.pixel[moving]]
        painted = _speckle(at[moving], person.looks, bare, rng)
        image.reshape(-1, 3)[hits.pixel[moving]] = painted
    # Borders of the tiles continue outwards, for the interpolation of lookups.
    nearest = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    row, column = np.asarray(nearest)
    return np.clip(image[row, column], 0, 1)


def _noise(rng, at: np.ndarray, wavelength: float, waves: int = 14) -> np.ndarray:
    """Smooth noise of about unit deviation at points [P, 3]: a sum of plane waves."""
    k = rng.standard_normal((waves, 3))
    k *= 2 * np.pi / wavelength / np.linalg.norm(k, axis=-1, keepdims=True)
    k *= rng.uniform(0.6, 1.4, (waves, 1))
    phase = rng.uniform(0, 2 * np.pi, waves)
    single = np.float32
    turns = at.astype(single) @ k.T.astype(single) + phase.astype(single)
    return np.cos(turns).sum(-1) * np.sqrt(2 / waves)


def _speckle(at, looks: Looks, bare, rng) -> np.ndarray:
    """Colours [P, 3] with spots of some millimetres, visible on both hair and skin."""
    spots = np.stack([_noise(rng, at, _SPOTS, 40) for _ in range(3)], -1)
    strength = np.full(len(at), 0.5 * looks.speckle)
    return _blend(bare, (1 + np.tanh(spots)) / 2, strength)


def _step(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at x = -1 to 1 at x = 1."""
    return solids.smooth((x + 1) / 2)


def _blend(colour, other, share):
    return colour + (other - colour) * share[:, None]


def _skin(person, at, rng):
    looks = person.looks
    tone = 1 + 0.018 * _noise(rng, at, 0.05) + 0.012 * _noise(rng, at, 0.016)
    colour = looks.skin * tone[:, None]
    flush = np.clip(looks.skin * [1.06, 0.76, 0.74], 0, 1)
    for x in (-0.042, 0.042):
        cheek = np.exp(-np.sum(np.square((at - [x, 0.016, -0.03]) / 0.020), -1))
        colour = _blend(colour, flush, 0.55 * cheek)
    tip = np.exp(-np.sum(np.square((at - [0, 0.009, -0.075]) / 0.014), -1))
    colour = _blend(colour, flush, 0.45 * tip)
    if looks.beard:
        low = _step((at[:, 1] - 0.034 - 0.5 * np.abs(at[:, 2] + 0.05)) / 0.010)
        low *= _step((0.035 - at[:, 2]) / 0.02)
        colour = _blend(colour, looks.hair, looks.beard * low)
    return colour


def _hair(person, at, rng):
    azimuth = np.arctan2(at[:, 0], -(at[:, 2] - 0.022))
    strands = np.stack([0.05 * np.cos(azimuth), 0.05 * np.sin(azimuth), at[:, 1] / 8])
    tone = 1 + 0.10 * _noise(rng, strands.T, 0.012) + 0.06 * _noise(rng, at, 0.03)
    return person.looks.hair * tone[:, None] + 0.02


def _clothes(person, at, rng):
    looks = person.looks
    x, y = at[:, 0], at[:, 1]
    front = np.clip((0.07 - at[:, 2]) / 0.06, 0, 1)
    collar = 0.132 + 0.022 * front
    if looks.shirt_pattern == "stripes":
        on = _step(np.sin(2 * np.pi * y / 0.024) * 3)
    elif looks.shirt_pattern == "checks":
        on = _step(np.sin(2 * np.pi * x / 0.04) * np.sin(2 * np.pi * y / 0.04) * 3)
    elif looks.shirt_pattern == "dots":
        on = _step(
            (np.sin(2 * np.pi * x / 0.034) * np.sin(2 * np.pi * y / 0.03)) * 5 - 3
        )
    else:
        on = _step((0.032 - np.abs(x)) / 0.002)
        on *= 1 - _step((0.0045 - np.hypot(x, (y % 0.04) - 0.02)) / 0.001)
    cloth = _blend(np.broadcast_to(looks.shirt, at.shape), looks.shirt_accent, on)
    cloth = cloth * (1 + 0.05 * _noise(rng, at, 0.05))[:, None]
    hem = np.exp(-np.square((y - collar - 0.004) / 0.003))
    cloth = _blend(cloth, 0.75 * looks.shirt, hem)
    neck = person.looks.skin * (1 + 0.03 * _noise(rng, at, 0.03))[:, None]
    # The chin's shadow.
    neck = neck * (1 - 0.28 * np.exp(-np.square((y - 0.095) / 0.022)))[:, None]
    return _blend(neck, cloth, _step((y - collar) / 0.0015))


def _mouth(person, at, rng):
    rig = person.rig
    down = at[:, 1] - face.slit_y(rig, at[:, 0])
    colour = np.broadcast_to(np.array([0.30, 0.08, 0.09]), at.shape)
    tongue = np.hypot(at[:, 0] / 0.016, (down - 0.017) / 0.011)
    colour = _blend(colour, np.array([0.78, 0.36, 0.38]), _step((1 - tongue) * 6))
    across = 1 - np.square(at[:, 0] / (rig.slit_half_width * 1.1))
    teeth = _step((0.0042 * across - down) / 0.0007)
    white = np.array([0.95, 0.93, 0.88])
    gaps = 0.06 * np.exp(-np.square(np.sin(np.pi * at[:, 0] / 0.0075) / 0.15))
    return _blend(colour, white, teeth * (1 - gaps))


def _eye(side: int):
    def painter(person, at, rng):
        looks = person.looks
        flat = at[:, :2] - person.irises[side, 0, :2]
        r = np.linalg.norm(flat, axis=-1) / (shapes.IRIS_RADIUS * looks.head_size)
        colour = np.broadcast_to(np.array([0.96, 0.95, 0.94]), at.shape)
        rim = looks.iris * 0.55
        shade = _blend(looks.iris * 1.25, rim, np.clip(r, 0, 1) ** 3)
        iris = _step((1 - r) * 9)
        colour = colour * (1 - iris[:, None]) + shade * iris[:, None]
        colour = _blend(colour, np.array([0.03, 0.03, 0.04]), _step((0.46 - r) * 9))
        glint = np.linalg.norm(flat - [-0.0022, -0.0024], axis=-1)
        colour = _blend(colour, np.ones(3), _step((0.0015 - glint) / 0.0005))
        top = face.lid_curves(person.rig, side, at[:, 0])[0]
        lid_shadow = np.exp(-np.square(np.maximum(at[:, 1] - top, 0) / 0.0022))
        return colour * (1 - 0.30 * lid_shadow)[:, None]

    return painter


_PAINTERS = {
    "face": _skin,
    "skull": _skin,
    "jaw": _skin,
    "ears": _skin,
    "hair": _hair,
    "back_hair": lambda person, at, rng: 0.78 * _hair(person, at, rng),
    "bun": _hair,
    "torso": _clothes,
    "mouth": _mouth,
    "eye_left": _eye(0),
    "eye_right": _eye(1),
}


def _paint_face(tile: np.ndarray, looks: Looks, size: int, rng) -> None:
    """Draws lips, brows, lashes and freckles on the face's tile, in place."""
    uv = (0.02 + 0.96 * face.canonical_mesh()["uv"]) * size

    def shape(rings, blur, holes=()):
        mask = np.zeros((size, size), np.uint8)
        for ring, value in [*((r, 255) for r in rings), *((h, 0) for h in holes)]:
            corners = np.round((uv[np.array(ring)] - 0.5) * 256).astype(np.int32)
            cv2.fillPoly(mask, [corners], value, cv2.LINE_AA, shift=8)
        soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur * size)
        return soft[..., None]

    def lay(colour, share):
        tile[:] += (np.asarray(colour, np.float32) - tile) * share

    lips = shape([face_mesh.LIPS_OUTER], 0.004)
    lay(np.clip(looks.skin * [0.86, 0.50, 0.50] + [0.06, 0, 0.02], 0, 1), 0.85 * lips)
    line = shape([face_mesh.LIPS_INNER], 0.003)
    lay(looks.skin * [0.45, 0.22, 0.22], 0.9 * line)
    lay(0.7 * looks.hair, 0.85 * shape(_BROWS, 0.004))
    for contour, folds in (
        (face_mesh.LEFT_EYE, (414, 286, 258, 257, 259, 260, 467)),
        (face_mesh.RIGHT_EYE, (190, 56, 28, 27, 29, 30, 247)),
    ):
        upper = contour[:9]
        fold = folds if contour is face_mesh.LEFT_EYE else folds[::-1]
        lid = shape([(*upper, *fold[::-1])], 0.004)
        lay(looks.skin * [0.74, 0.62, 0.60], 0.55 * lid)
        mask = np.zeros((size, size), np.uint8)
        points = np.round((uv[np.array(upper)] - 0.5) * 256).astype(np.int32)
        width = max(1, round(0.010 * size))
        cv2.polylines(mask, [points], False, 255, width, cv2.LINE_AA, shift=8)
        lash = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.002 * size)
        lay((0.10, 0.07, 0.07), 0.9 * lash[..., None])
    if looks.freckles:
        spots = np.zeros((size, size), np.float32)
        for centre in (uv[50], uv[280], uv[5]):
            for spot in centre + 0.055 * size * rng.standard_normal((16, 2)):
                x, y = np.clip(spot, 0, size - 1).astype(int)
                spots[y, x] = 1
        spots = cv2.GaussianBlur(spots, (0, 0), 0.0045 * size)
        spots *= 0.5 * looks.freckles / max(spots.max(), 1e-6)
        lay(looks.skin * [0.62, 0.48, 0.42], spots[..., None])
