"""Ground truth of a demo clip, and the deformations that a model learns.

`Truth` is read from an identity folder. A model maps an observed point of the tracked
head frame to rest in two steps: errors of the tracked pose and the torso first, then
lids and lips. `exact_offset` computes these steps region by region; the four offsets of
a point sum to its displacement to rest.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from lokitalk_jax import files, structs
from lokitalk_jax.data import folder
from lokitalk_jax.demo import deform, looks, raster, render, shapes
from lokitalk_jax.demo.motion import Performance
from lokitalk_jax.demo.shapes import SKIN, TORSO, Person

FILE = "truth.npz"


class Truth(NamedTuple):
    """A demo identity's ground truth.

    Attributes:
      person: shapes and materials at rest.
      performance: signals and poses of F frames.
      camera: the clip's.
      seed, index: of the cast, and in it.
    """

    person: Person
    performance: Performance
    camera: render.Camera
    seed: int
    index: int


def write_truth(path, truth: Truth) -> None:
    """Writes truth.npz into the identity folder `path`, in float64, without loss."""
    which = {
        "seed": truth.seed,
        "index": truth.index,
        "size": truth.camera.size,
        "speckle": truth.person.looks.speckle,
    }
    with files.replacing(path / FILE) as temporary:
        np.savez(temporary, **which, **truth.performance._asdict())


def load_truth(identity: folder.IdentityFolder) -> Truth:
    """Reads the ground truth of a demo identity; the person is built again.

    Raises:
      ValueError: the identity is not of the demo cast.
    """
    path = identity.path / FILE
    if not path.is_file():
        raise ValueError(
            f"{identity.path} holds no {FILE}: ground truth exists only for the demo "
            "cast; make one with lokitalk_jax.demo.make_cast"
        )
    with np.load(path) as stored:
        performance = Performance(*(stored[name] for name in Performance._fields))
        seed, index, size = (int(stored[k]) for k in ("seed", "index", "size"))
        speckle = float(stored.get("speckle", 0.0))
    person = shapes.build_person(looks.draw_looks(seed, index, speckle))
    return Truth(person, performance, render.Camera.of_size(size), seed, index)


class Renderer:
    """Renders frames of a demo identity, with exact depth and region masks."""

    def __init__(self, truth: Truth):
        """Paints the person and the background of `truth`."""
        self.truth = truth
        size = truth.camera.size
        self.paints = render.mix_paints(truth.person, truth.seed, truth.index, size)

    def __call__(self, frame: int) -> render.Picture:
        """Renders a frame."""
        person, performance, camera, *_ = self.truth
        return render.render(person, performance, frame, camera, self.paints)


def observed_vertices(truth: Truth, frame: int) -> np.ndarray:
    """The moved surface [V, 3] in the tracked head frame, metres.

    Materials are `truth.person.material`, and rest is `truth.person.vertices`.
    """
    moved = render.moved_vertices(truth.person, truth.performance, frame)
    return render.transform(np.linalg.inv(truth.performance.tracked[frame]), moved)


class Surface(NamedTuple):
    """Surface points visible at H pixel centres.

    Attributes:
      pixels: int [H, 2], row and column.
      points: [H, 3], in the tracked head frame, metres.
      rest: [H, 3], the same points of the body at rest.
      material: int [H], see `shapes`.
    """

    pixels: np.ndarray
    points: np.ndarray
    rest: np.ndarray
    material: np.ndarray


def visible_surface(truth: Truth, frame: int) -> Surface:
    """Visible surface of a frame, in the order of its pixels."""
    person, performance, camera, *_ = truth
    moved = render.moved_vertices(person, performance, frame)
    shape = (camera.size, camera.size)
    hits = raster.rasterise(camera.project(moved), moved[:, 2], person.triangles, shape)
    to_head = np.linalg.inv(performance.tracked[frame])
    return Surface(
        np.stack(np.divmod(hits.pixel, camera.size), -1),
        render.transform(to_head, hits.interpolate(moved, person.triangles)),
        hits.interpolate(person.vertices, person.triangles),
        person.material[person.triangles[hits.triangle, 0]],
    )


def nearest_material(truth: Truth, frame: int, points: np.ndarray) -> np.ndarray:
    """Material [P] of the surface nearest to points [P, 3] (tracked head frame).

    Nearest is the nearest of the vertices and the triangles' centres.
    """
    vertices, triangles = observed_vertices(truth, frame), truth.person.triangles
    tree = KDTree(np.concatenate([vertices, vertices[triangles].mean(1)]))
    material = truth.person.material
    return np.concatenate([material, material[triangles[:, 0]]])[tree.query(points)[1]]


def exact_offset(
    truth: Truth,
    frame: int,
    points: np.ndarray,
    region: str,
    material: np.ndarray | None = None,
) -> np.ndarray:
    """Offset by one region on the way from observed points to rest.

    Head and torso act on the observed point x, lips and lids on the result:
    x_body = x + head(x) + torso(x), x_rest = x_body + lip(x_body) + eye(x_body).

    Args:
      truth: of the identity.
      frame: index.
      points: [P, 3], observed, in the tracked head frame, metres.
      region: one of `structs.REGIONS`.
      material: [P], see `shapes`; by default that of the nearest surface.

    Returns:
      [P, 3], metres. Exact for points of the surface, and an extension along the
      material elsewhere; zero where the region does not move the material.

    Raises:
      ValueError: there is no such region.
    """
    if region not in structs.REGIONS:
        raise ValueError(f"region={region} is none of {', '.join(structs.REGIONS)}")
    points = np.asarray(points, np.float64)
    if material is None:
        material = nearest_material(truth, frame, points)
    rig, performance = truth.person.rig, truth.performance
    tracked = performance.tracked[frame]
    to_body = np.linalg.inv(render.body_poses(performance, frame)) @ tracked
    offset = np.zeros_like(points)
    for kind, pose in enumerate(to_body):
        of = material == kind
        if not of.any():
            continue
        at_body = render.transform(pose, points[of])
        if region in ("head", "torso"):
            if (region == "torso") == (kind == TORSO):
                offset[of] = at_body - points[of]
        elif kind == SKIN:
            lids_open = deform.unmove_lids(rig, at_body, performance.eye[frame])
            if region == "eye":
                offset[of] = lids_open - at_body
            else:
                shut = deform.unmove_lips(rig, lids_open, performance.lip[frame])
                offset[of] = shut - lids_open
    return offset
