"""Renders frames of the demo cast, with their exact depth and regions."""

from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.data import layout
from lokitalk_jax.demo import backdrop, deform, paint, raster
from lokitalk_jax.demo.motion import Performance
from lokitalk_jax.demo.shapes import HAIR, INSIDE, SKIN, TORSO, Person

SUPERSAMPLE = 2  # samples along each side of a pixel

# Skin belongs to lips or eyes if they can move it at least this far, metres.
_MOVES = 4e-4


class Camera(NamedTuple):
    """A pinhole camera: focal length and principal point (x, y), in pixels."""

    focal: float
    principal: tuple[float, float]
    size: int

    @classmethod
    def of_size(cls, size: int) -> "Camera":
        """The cast's camera at an image size."""
        return cls(1400 * size / 512, (size / 2, size / 2), size)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Camera-frame points [..., 3], metres, to pixels [..., 2]."""
        return self.focal * points[..., :2] / points[..., 2:] + self.principal


class Picture(NamedTuple):
    """A frame with its ground truth, S = camera.size.

    Attributes:
      rgb: float32 [S, S, 3].
      alpha: float32 [S, S], share of the pixel that the person covers.
      labels: uint8 [S, S], see `layout`; pixels that the person covers by half or more.
      depth: [S, S], mean z of the covered part in the camera frame, metres; inf where
        nothing is covered.
      regions: float32 [S, S, 4], share of the pixel in each of `structs.REGIONS`:
        surfaces that lips or lids move or uncover, the head, the torso.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    labels: np.ndarray
    depth: np.ndarray
    regions: np.ndarray


def transform(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [..., P, 3] moved by poses [..., 4, 4]."""
    turned = points @ np.swapaxes(pose[..., :3, :3], -1, -2)
    return turned + pose[..., None, :3, 3]


def body_poses(performance: Performance, frame: int) -> np.ndarray:
    """Pose to the camera of each material, [4, 4, 4]."""
    poses = np.empty((4, 4, 4))
    poses[SKIN] = poses[INSIDE] = performance.head[frame]
    poses[HAIR], poses[TORSO] = performance.hair[frame], performance.torso[frame]
    return poses


def moved_vertices(person: Person, performance: Performance, frame: int) -> np.ndarray:
    """All vertices [V, 3] in the camera frame at a frame, metres."""
    vertices = person.vertices.copy()
    skin = person.material == SKIN
    vertices[skin] = deform.move(
        person.rig, vertices[skin], performance.lip[frame], performance.eye[frame]
    )
    poses = body_poses(performance, frame)
    for material in (SKIN, HAIR, TORSO, INSIDE):
        of = person.material == material
        vertices[of] = transform(poses[material], vertices[of])
    return vertices


class Paints(NamedTuple):
    """The constant part of all frames of a clip.

    Attributes:
      texture: float32 [H, W, 3].
      attributes: [V, 6], of vertices: texture coordinates in texels, then for each of
        `structs.REGIONS` the distance it can move them, metres (1 for a whole part).
      background: float32 [S, S, 3].
    """

    texture: np.ndarray
    attributes: np.ndarray
    background: np.ndarray


def mix_paints(person: Person, seed: int, index: int, size: int) -> Paints:
    """Paints the texture and the background of a clip of `size` pixels."""
    tile = max(160, size)
    regions = np.zeros((len(person.vertices), 4))
    skin = person.material == SKIN
    regions[skin, 0] = deform.lip_reach(person.rig, person.vertices[skin])
    regions[skin, 1] = deform.lid_reach(person.rig, person.vertices[skin])
    for name, region in (("mouth", 0), ("eye_left", 1), ("eye_right", 1)):
        regions[person.parts[name], region] = 1
    regions[:, 2] = person.material != TORSO
    regions[:, 3] = person.material == TORSO
    return Paints(
        paint.paint(person, tile),
        np.concatenate([person.uv * tile, regions], 1),
        backdrop.paint_background(seed, index, size),
    )


def render(
    person: Person,
    performance: Performance,
    frame: int,
    camera: Camera,
    paints: Paints,
) -> Picture:
    """Renders a frame of a performance."""
    size, s = camera.size, SUPERSAMPLE
    vertices = moved_vertices(person, performance, frame)
    hits = raster.rasterise(
        camera.project(vertices) * s,
        vertices[:, 2],
        person.triangles,
        (size * s, size * s),
    )
    values = hits.interpolate(paints.attributes, person.triangles)
    # OpenCV's coordinates form an image of at most 32767 pixels width.
    uv = np.zeros((-(-len(values) // 1024) * 1024, 2), np.float32)
    uv[: len(values)] = values[:, :2] - 0.5
    u, v = np.moveaxis(uv.reshape(-1, 1024, 2), -1, 0).copy()
    colours = cv2.remap(paints.texture, u, v, cv2.INTER_LINEAR)
    colours = colours.reshape(-1, 3)[: len(values)]
    row, column = np.divmod(hits.pixel, size * s)
    pixel = row // s * size + column // s

    def pool(values=None):
        total = np.bincount(pixel, values, minlength=size * size)
        return total.reshape(size, size) / s**2

    alpha = pool()
    rgb = np.stack([pool(colours[:, i]) for i in range(3)], -1)
    rgb += (1 - alpha[..., None]) * paints.background
    regions = np.stack([pool(values[:, 2 + i] > _MOVES) for i in range(4)], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(alpha > 0, pool(hits.depth) / alpha, np.inf)
    labels = np.where(regions[..., 2] >= regions[..., 3], layout.HEAD, layout.TORSO)
    labels = np.where(alpha >= 0.5, labels, layout.BACKGROUND).astype(np.uint8)
    return Picture(
        rgb.astype(np.float32),
        alpha.astype(np.float32),
        labels,
        depth,
        regions.astype(np.float32),
    )
