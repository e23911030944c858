"""Where a trained model moves points of a demo identity, against the exact motion.

Points are sampled along rays as the renderer samples them and weighted by volume
rendering. Pictures do not determine where a material point lies at rest: a canonical
mouth that is stored half open serves as well. So the learned motion is a region's gated
offset minus the part of its error that is constant over frames: the mean error of the
same material point over training frames.
"""

import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lokitalk_jax import demo, structs
from lokitalk_jax.avatar import visibility
from lokitalk_jax.checkpoint import store
from lokitalk_jax.data import folder, signals
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.demo import deform, render, shapes
from lokitalk_jax.model import architecture, identity, nerf, rays

# Samples with less weight are left out; together they hold about a thousandth of it.
_LEAST_WEIGHT = 1e-3
# Skin belongs to the lips or the eyes where they can move it this far, metres.
_MOVES = 4e-4
_TILE = 4096  # points or rays in one compiled call
_REFERENCES = 16  # training frames that show where the model keeps a material point


class Subject(NamedTuple):
    """A model of one demo identity, and all that is known of the identity.

    Attributes:
      model: the model.
      params: of the identity.
      data: the identity at the training size.
      truth: its ground truth.
      driven: signals of all frames, leaves [F, ...].
    """

    model: architecture.Model
    params: structs.AvatarParams
    data: Dataset
    truth: demo.Truth
    driven: structs.Signals


class MotionSamples(NamedTuple):
    """P visible samples, in metres; regions as in `structs.REGIONS`.

    Attributes:
      weights: [P], of volume rendering.
      exact: [P, 4, 3], offset of each region.
      learned: [P, 4, 3], the same as learned, up to where the points are kept at rest.
      gated: [P, 4, 3], the model's offsets, unchanged.
      own: bool [P, 4], whether the region moves the material.
      sight: [P, 3], directions of the rays.
      masks: [P, 4], image masks at the samples' pixels.
      pixel: int [P], row by row.
    """

    weights: np.ndarray
    exact: np.ndarray
    learned: np.ndarray
    gated: np.ndarray
    own: np.ndarray
    sight: np.ndarray
    masks: np.ndarray
    pixel: np.ndarray


class Score(NamedTuple):
    """A region's motion over density-weighted points.

    Attributes:
      exact_mm, learned_mm: mean lengths over the region's own material.
      error: mean endpoint error there, as a share of exact_mm.
      across: the same of the parts across the line of sight.
      inside: share of the learned motion's length inside the region's image mask.
      gated_inside: the same of the gated offset.
      exact_inside: the same of the exact motion: what masks allow.
    """

    exact_mm: float
    learned_mm: float
    error: float
    across: float
    inside: float
    gated_inside: float
    exact_inside: float


def open_subject(workdir: pathlib.Path) -> Subject:
    """Reads the latest checkpoint of a run on one demo identity.

    Raises:
      ValueError: there is no such run, or its identity is not of the demo cast.
    """
    checkpoints, step = store.open_run(workdir)
    config = ml_collections.ConfigDict(checkpoints.config(step))
    names = checkpoints.meta(step)["identities"]
    model = architecture.from_config(config)
    params, grids = checkpoints.restore_params(
        step,
        jax.eval_shape(lambda key: architecture.init(model, key, 1), jax.random.key(0)),
        jax.ShapeDtypeStruct((1, *model.sampling.cells), jnp.float32),
    )
    fitted = signals.Fitted.from_arrays(names, checkpoints.signals(step))
    checkpoints.close()
    residual, grid = jax.tree.map(lambda leaf: leaf[0], (params["identity"], grids))
    (source,) = folder.find_identities(config.data.root)
    data = Dataset.open(source, config.data.size)
    shared = params["shared"]
    person = identity.combine(shared["base"], residual)
    params = structs.AvatarParams(shared, person, grid)
    return make_subject(model, params, data, fitted)


def make_subject(model, params, data: Dataset, fitted) -> Subject:
    """Adds what is known of the identity to a model of it."""
    truth = demo.load_truth(data.folder)
    driven = signals.apply(fitted, data.name, data.tracks)
    return Subject(model, params, data, truth, driven)


def measure(subject: Subject, frame: int) -> MotionSamples:
    """Samples a frame and finds what is exactly known of the samples."""
    data, truth = subject.data, subject.truth
    pose = data.tracks.head_to_camera[frame]
    driven = jax.tree.map(lambda x: x[frame], subject.driven)
    centres = visibility.pixel_centres(*data.camera.shape)
    tiles = np.split(centres, range(_TILE, len(centres), _TILE))
    found = [
        jax.device_get(
            _sample(*subject[:2], tile, data.camera.intrinsics, pose, driven)
        )
        for tile in tiles
    ]
    points, weights, gated = (np.concatenate(part) for part in zip(*found, strict=True))
    seen = np.flatnonzero(weights > _LEAST_WEIGHT)
    pixel = seen // (len(weights) // len(centres))
    points = points[seen].astype(np.float64)

    material = _seen_material(truth, frame, data.camera.height, points, pixel)
    exact = [
        demo.exact_offset(truth, frame, points, region, material)
        for region in structs.REGIONS
    ]
    at_rest = points + sum(exact)
    skin, rig = material == shapes.SKIN, truth.person.rig
    own = {
        "lip": skin & (deform.lip_reach(rig, at_rest) > _MOVES),
        "eye": skin & (deform.lid_reach(rig, at_rest) > _MOVES),
        "head": material != shapes.TORSO,
        "torso": material == shapes.TORSO,
    }
    sight = points + pose[:3, :3].T @ pose[:3, 3]
    return MotionSamples(
        weights=weights[seen],
        exact=np.stack(exact, 1),
        learned=gated[seen] - _standing_error(subject, at_rest, material),
        gated=gated[seen],
        own=np.stack([own[region] for region in structs.REGIONS], -1),
        sight=sight / _length(sight)[:, None],
        masks=data.region_masks(frame).reshape(-1, 4)[pixel],
        pixel=pixel,
    )


def _seen_material(truth, frame: int, size: int, points, pixel) -> np.ndarray:
    """Material [P] that samples at points [P, 3] in pixels [P] stand for.

    It is what their pixel sees: a sample a few millimetres too deep in an opened mouth
    is nearer to a lip than to the teeth that it shows. Where the pixel sees nothing, it
    is that of the nearest surface.
    """
    truth = truth._replace(camera=render.Camera.of_size(size))
    surface = demo.visible_surface(truth, frame)
    shown = np.full(size * size, -1)
    shown[surface.pixels @ [size, 1]] = surface.material
    material = shown[pixel]
    missed = material < 0
    material[missed] = demo.nearest_material(truth, frame, points[missed])
    return material


@functools.partial(jax.jit, static_argnums=0)
def _sample(model, params, pixels, intrinsics, pose, driven):
    """Points [P, 3], weights [P] and gated offsets [P, 4, 3] on rays, metres."""
    _, samples = nerf.render(
        model,
        params,
        rays.generate(pixels[None], intrinsics, pose[None]),
        jax.tree.map(lambda x: x[None], driven),
        jnp.zeros((1, *pixels.shape[:-1], 3)),
    )
    offsets = samples.deformed.offsets[0]
    points = samples.deformed.points[0] - jnp.sum(offsets, axis=-2)
    return (
        points * structs.UNIT,
        samples.weights.reshape(-1),
        offsets * structs.UNIT,
    )


@functools.partial(jax.jit, static_argnums=0)
def _offsets(model, params, points, driven):
    one = jax.tree.map(lambda x: x[None], driven)
    deformed = nerf.deform(model, params, points[None] / structs.UNIT, one)
    return deformed.offsets[0] * structs.UNIT


def _standing_error(subject: Subject, at_rest, material) -> np.ndarray:
    """What the gated offsets of material points err by on average, [P, 4, 3] metres."""
    train = subject.data.train_frames
    references = train[:: -(-len(train) // _REFERENCES)]
    total = np.zeros((len(at_rest), 4, 3))
    for frame in references:
        points, exact = _act_out(subject.truth, frame, at_rest, material)
        driven = jax.tree.map(lambda x, f=frame: x[f], subject.driven)
        padded = np.pad(points, ((0, -len(points) % _TILE), (0, 0))).astype(np.float32)
        found = [
            np.asarray(_offsets(subject.model, subject.params, tile, driven))
            for tile in padded.reshape(-1, _TILE, 3)
        ]
        total += np.concatenate(found)[: len(points)] - exact
    return total / len(references)


def _act_out(truth: demo.Truth, frame: int, at_rest, material):
    """Where a frame shows material points [P, 3] of the rest, and the exact offsets.

    Returns:
      points [P, 3] in the tracked head frame and offsets [P, 4, 3], metres.
    """
    rig, known = truth.person.rig, truth.performance
    skin = material == shapes.SKIN
    spoken = at_rest.copy()
    spoken[skin] = deform.move_lips(rig, at_rest[skin], known.lip[frame])
    blinked = spoken.copy()
    blinked[skin] = deform.move_lids(rig, spoken[skin], known.eye[frame])
    to_head = np.linalg.inv(known.tracked[frame]) @ render.body_poses(known, frame)
    observed = np.einsum("pij,pj->pi", to_head[material, :3, :3], blinked)
    observed += to_head[material, :3, 3]
    body = blinked - observed
    torso = (material == shapes.TORSO)[:, None]
    offsets = [at_rest - spoken, spoken - blinked, body * ~torso]
    return observed, np.stack([*offsets, body * torso], 1)


def score(motions: list[MotionSamples]) -> dict[str, Score]:
    """Scores by region, over the samples of all frames."""
    m = MotionSamples(*(np.concatenate(part) for part in zip(*motions, strict=True)))
    scores = {}
    for i, region in enumerate(structs.REGIONS):
        weights = m.weights * m.own[:, i]
        learned, exact = m.learned[:, i], m.exact[:, i]
        seen = [v - _along(v, m.sight) for v in (learned - exact, exact)]
        size = np.average(_length(exact), weights=weights)
        scores[region] = Score(
            exact_mm=1e3 * size,
            learned_mm=1e3 * np.average(_length(learned), weights=weights),
            error=np.average(_length(learned - exact), weights=weights) / size,
            across=np.divide(*(np.sum(_length(v) * weights) for v in seen)),
            inside=_inside(m, learned, i),
            gated_inside=_inside(m, m.gated[:, i], i),
            exact_inside=_inside(m, exact, i),
        )
    return scores


def _inside(m: MotionSamples, vectors: np.ndarray, region: int) -> float:
    return np.average(m.masks[:, region] >= 0.5, weights=m.weights * _length(vectors))


def _along(vectors: np.ndarray, sight: np.ndarray) -> np.ndarray:
    return np.sum(vectors * sight, -1, keepdims=True) * sight


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
