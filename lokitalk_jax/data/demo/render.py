"""Pictures of the demo cast, and everything about them that is exactly known."""

from typing import NamedTuple

import cv2
import numpy as np

from lokitalk_jax.data import folder
from lokitalk_jax.data.demo import deform, raster
from lokitalk_jax.data.demo.motion import Performance
from lokitalk_jax.data.demo.shapes import HAIR, INSIDE, SKIN, TORSO, Person

SUPERSAMPLE = 2  # samples along each side of a pixel

# Skin belongs to a region where it moves by at least this share of its contour.
_MOVES = 0.03


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
      labels: uint8 [S, S], as in `folder`: where the person covers half or more.
      depth: [S, S], mean z in the camera frame of what is covered, metres; inf where
        nothing is.
      regions: float32 [S, S, 4], share of the pixel in each of `structs.REGIONS`:
        what the lips' or lids' motion moves or uncovers, the head, the torso.
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


def vertex_regions(person: Person) -> np.ndarray:
    """Whether each vertex is of each region, float [V, 4]."""
    skin = person.material == SKIN
    out = np.zeros((len(person.vertices), 4))
    out[skin, 0] = deform.lip_weight(person.rig, person.vertices[skin]) > _MOVES
    out[skin, 1] = deform.lid_weight(person.rig, person.vertices[skin]) > _MOVES
    for name, region in (("mouth", 0), ("eye_left", 1), ("eye_right", 1)):
        out[person.parts[name], region] = 1
    out[:, 2], out[:, 3] = person.material != TORSO, person.material == TORSO
    return out


def render(
    person: Person,
    performance: Performance,
    frame: int,
    camera: Camera,
    texture: np.ndarray,
    tile: int,
    background: np.ndarray,
) -> Picture:
    """Renders a frame.

    Args:
      person: who.
      performance: what everybody part does.
      frame: index.
      camera: looks along z from the origin of the camera frame.
      texture: of the person, see `paint.paint`, with the face's tile `tile` wide.
      tile: pixels.
      background: RGB [S, S, 3] in [0, 1].
    """
    size, s = camera.size, SUPERSAMPLE
    vertices = moved_vertices(person, performance, frame)
    hits = raster.rasterise(
        camera.project(vertices) * s,
        vertices[:, 2],
        person.triangles,
        (size * s, size * s),
    )
    attributes = np.concatenate([person.uv * tile, vertex_regions(person)], 1)
    values = hits.interpolate(attributes, person.triangles)
    # OpenCV looks up images, and no wider than 32767 pixels.
    uv = np.zeros((-(-len(values) // 1024) * 1024, 2), np.float32)
    uv[: len(values)] = values[:, :2] - 0.5
    colours = cv2.remap(texture, uv.reshape(-1, 1024, 2), None, cv2.INTER_LINEAR)
    colours = colours.reshape(-1, 3)[: len(values)]
    row, column = np.divmod(hits.pixel, size * s)
    pixel = row // s * size + column // s

    def pool(values=None):
        total = np.bincount(pixel, values, minlength=size * size)
        return total.reshape(size, size) / s**2

    alpha = pool()
    rgb = np.stack([pool(colours[:, i]) for i in range(3)], -1)
    rgb += (1 - alpha[..., None]) * background
    regions = np.stack([pool(values[:, 2 + i] > 0.5) for i in range(4)], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(alpha > 0, pool(hits.depth) / alpha, np.inf)
    labels = np.where(regions[..., 2] >= regions[..., 3], folder.HEAD, folder.TORSO)
    labels = np.where(alpha >= 0.5, labels, folder.BACKGROUND).astype(np.uint8)
    return Picture(
        rgb.astype(np.float32),
        alpha.astype(np.float32),
        labels,
        depth,
        regions.astype(np.float32),
    )
