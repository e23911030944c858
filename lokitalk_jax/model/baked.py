"""The deformation of one identity, evaluated once at the nodes of a lattice.

Offsets before gating are linear in the signals, and the learned parts of gates do not
depend on them. So the networks of a trained identity are functions of position alone:

    Delta_r(x, s) = B_r0(x) + sum_k s_k B_rk(x)

`bake` evaluates all B_rk at the nodes: those of lips and lids, which have steep edges,
on a finer lattice around the canonical lips and eyes. `at_frames` adds them up for the
signals of some frames, once a frame and not once a sample. `move` then interpolates,
where `Deformation` runs networks. Anatomical parts of gates and the torso's rigid
motion stay exact. All of it is differentiable.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from lokitalk_jax.model import deformation, encodings, lattice
from lokitalk_jax.model.architecture import Model
from lokitalk_jax.model.deformation import Deformation
from lokitalk_jax.model.lattice import Corner, Lattice
from lokitalk_jax.structs import EYE_REST, UNIT, AvatarParams, Signals

Array = jax.Array

SPACING = 0.008  # metres between nodes
_FINER = 3 / 8  # share of this spacing between nodes of the face
_TILE = 8192  # nodes evaluated at once


@struct.dataclass
class BakedFields:
    """Fields at the N nodes of a lattice of the scene, and the M of one of the face.

    Attributes:
      lattice, face_lattice: static.
      lip, eye: [K + 1, M, 3], offsets at a signal of zero, and what each of its K
        coefficients adds.
      head, torso: [K + 1, N, 3], the same.
      face_gates: [M, 2]; head_gate, torso_gate: [N, 1], learned parts of logits.
    """

    lattice: Lattice = struct.field(pytree_node=False)
    face_lattice: Lattice = struct.field(pytree_node=False)
    lip: Array
    eye: Array
    head: Array
    torso: Array
    face_gates: Array
    head_gate: Array
    torso_gate: Array


@struct.dataclass
class FrameFields:
    """Fields at the nodes in B frames, by the positions at which they are read.

    Attributes:
      lattice, face_lattice: static.
      head: [B, N, 4], offset and logit, read at a point of the head frame.
      torso: [B, N, 4], offset and logit, read where the point is when the torso is at
        rest.
      face: [B, M, 8], offsets of lip and eye and their logits, read on the canonical
        face. None for points where lips and lids do not move.
    """

    lattice: Lattice = struct.field(pytree_node=False)
    face_lattice: Lattice = struct.field(pytree_node=False)
    head: Array
    torso: Array
    face: Array | None


class Moved(NamedTuple):
    """Points in the canonical space, as arrays [B, Q].

    Attributes:
      axes: x, y and z of the points.
      gates: of the regions, in the order of `structs.REGIONS`.
      offsets: x, y and z of the gated offset of each region.
      torso_rotation: [B, 3, 3].
    """

    axes: list[Array]
    gates: list[Array]
    offsets: list[list[Array]]
    torso_rotation: Array


def can_bake(model: Model) -> bool:
    """Whether the deformation is one by regions, which alone is linear in signals."""
    return isinstance(model.deformation, Deformation)


@functools.partial(jax.jit, static_argnums=(0, 2))
def bake(model: Model, params: AvatarParams, spacing: float = SPACING) -> BakedFields:
    """Evaluates the fields of an identity.

    Args:
      model: modules and sizes; see `can_bake`.
      params: of the identity.
      spacing: largest distance between nodes of the scene along an axis, metres.
    """
    nodes = Lattice.spaced(model.sampling.low, model.sampling.high, spacing / UNIT)
    face_nodes = Lattice.spaced(*_face_box(model), _FINER * spacing / UNIT)
    code = params.identity["codes"]["dynamic"]
    last_layers = params.identity["last_layers"]
    sizes = {"lip": model.lip_dim, "eye": len(EYE_REST), "head": 6, "torso": 6}
    # Zero and the unit vectors of every signal, as if they were frames.
    rows = 1 + max(sizes.values())
    drive = {name: jnp.eye(rows, size + 1)[:, 1:] for name, size in sizes.items()}

    def of_body(module: Deformation, points: Array) -> dict[str, Array]:
        return {
            **module.body(points, code, drive, last_layers),
            **module.torso(points, code, drive, last_layers),
            "head_gate": module.head_gate(points, code),
            "torso_gate": module.torso_gate(points, code),
        }

    def of_face(module: Deformation, points: Array) -> dict[str, Array]:
        return {
            **module.face(points, code, drive, last_layers),
            "face_gates": module.face_gates(points, code),
        }

    def evaluate(method, at: Lattice) -> dict[str, Array]:
        return _by_tiles(
            lambda points: model.deformation.apply(
                params.shared["dynamic"], points[None], method=method
            ),
            jnp.asarray(lattice.positions(at)),
        )

    found = evaluate(of_body, nodes) | evaluate(of_face, face_nodes)
    slopes = {
        name: jnp.concatenate(
            [found[name][:1], found[name][1 : size + 1] - found[name][:1]]
        )
        for name, size in sizes.items()
    }
    gates = {name: found[name][0] for name in found if name not in sizes}
    return BakedFields(lattice=nodes, face_lattice=face_nodes, **slopes, **gates)


def _face_box(model: Model) -> tuple[Corner, Corner]:
    """The part of the scene in which lips and lids move, units of `UNIT`."""
    low, high = model.sampling.low, model.sampling.high
    if not model.deformation.anatomical_gates:
        return low, high
    face_low, face_high = deformation.face_box()
    first, last = np.maximum(low, face_low), np.minimum(high, face_high)
    return tuple(first.tolist()), tuple(last.tolist())


def _by_tiles(function, points: Array):
    """Applies a function of [P, 3], to a tree of [A, P, C], to tiles of many points."""
    size = len(points)
    padded = jnp.pad(points, ((0, -size % _TILE), (0, 0)), mode="edge")
    found = jax.lax.map(function, padded.reshape(-1, _TILE, 3))  # [tiles, A, P, C]

    def joined(x: Array) -> Array:
        return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, x.shape[-1])[:, :size]

    return jax.tree.map(joined, found)


def at_frames(baked: BakedFields, signals: Signals) -> FrameFields:
    """The fields in B frames with signals [B, ...]."""
    frames, drive = len(signals.lip), deformation.drives(signals)

    def total(slopes: Array, amounts: Array) -> Array:
        # Signals are so few that XLA's CPU backend adds faster than it multiplies
        # matrices.
        parts = (
            amount[:, None, None] * slope
            for amount, slope in zip(amounts.T, slopes[1:, None], strict=True)
        )
        return sum(parts, slopes[:1])

    def for_frames(values: Array) -> Array:
        return jnp.broadcast_to(values, (frames, *values.shape))

    return FrameFields(
        lattice=baked.lattice,
        face_lattice=baked.face_lattice,
        head=jnp.concatenate(
            [total(baked.head, drive["head"]), for_frames(baked.head_gate)], axis=-1
        ),
        torso=jnp.concatenate(
            [total(baked.torso, drive["torso"]), for_frames(baked.torso_gate)], axis=-1
        ),
        face=jnp.concatenate(
            [
                total(baked.lip, drive["lip"]),
                total(baked.eye, drive["eye"]),
                for_frames(baked.face_gates),
            ],
            axis=-1,
        ),
    )


def move(
    model: Model,
    motion: FrameFields,
    axes: Sequence[Array],
    signals: Signals,
    identity: dict,
) -> Moved:
    """Moves points as `Deformation` does, by interpolated fields.

    Coordinates are apart, which a CPU computes three times as fast.

    Args:
      model: modules and sizes.
      motion: of the B frames.
      axes: x, y and z of the points, [B, Q] each, units of `UNIT`.
      signals: leaves [B, ...].
      identity: the identity's parameters.
    """
    module = cast(Deformation, model.deformation)
    look_up = functools.partial(lattice.interpolate, motion.lattice)
    *head, head_logit = _columns(look_up(motion.head, axes))
    resting, rotation = _resting(axes, signals.torso[..., :6], identity)
    *bent, logit = _columns(look_up(motion.torso, resting))
    logit -= head_logit
    if module.anatomical_gates:
        logit += deformation.anatomical_torso_logit(_points(resting))
        logit -= deformation.anatomical_head_logit(_points(axes))
    gate = jax.nn.sigmoid(logit)
    head = [(1 - gate) * x for x in head]
    carried = _sums(resting, bent)
    torso = [gate * (x - y) for x, y in zip(carried, axes, strict=True)]
    body = _sums(axes, head, torso)

    start = body if module.cascade else axes
    if motion.face is None:
        still = jnp.zeros_like(gate)
        face_gates, lip, eye = [still] * 2, [still] * 3, [still] * 3
    else:
        look_up_face = functools.partial(
            _face_at, module, motion.face_lattice, motion.face
        )
        face_gates, lip, eye = look_up_face(start)
        for _ in range(module.face_steps - 1):
            face_gates, lip, eye = look_up_face(_sums(start, lip, eye))
    return Moved(
        axes=_sums(body, lip, eye),
        gates=[*face_gates, 1 - gate, gate],
        offsets=[lip, eye, head, torso],
        torso_rotation=rotation,
    )


def _face_at(
    module: Deformation, nodes: Lattice, face: Array, axes: Sequence[Array]
) -> tuple[list[Array], list[Array], list[Array]]:
    """Gates of lips and lids at points, two arrays, and both gated offsets by axis."""
    columns = _columns(lattice.interpolate(nodes, face, axes))
    logits = columns[6:]
    if module.anatomical_gates:
        anatomical = _columns(deformation.anatomical_face_logits(_points(axes)))
        logits = _sums(logits, anatomical)
    lip_gate, eye_gate = gates = [jax.nn.sigmoid(x) for x in logits]
    lip = [lip_gate * x for x in columns[:3]]
    eye = [eye_gate * x for x in columns[3:6]]
    return gates, lip, eye


def _resting(axes: Sequence[Array], pose: Array, identity: dict):
    """`deformation.torso_motion` with x, y and z apart."""
    pivot = identity["pivot"]
    rotation = encodings.rotation_matrix(pose[:, :3])
    moved = jnp.einsum("bij,j->bi", rotation, pivot) + pose[:, 3:6] - pivot[None]
    shift = pivot[None] + identity["gains"][None] * moved
    away = [x - pivot[j] for j, x in enumerate(axes)]
    resting = [
        functools.reduce(
            jnp.add,
            (rotation[:, i, j, None] * away[j] for j in range(3)),
            shift[:, i, None],
        )
        for i in range(3)
    ]
    return resting, rotation


def _columns(rows: Array) -> list[Array]:
    return [rows[..., c] for c in range(rows.shape[-1])]


def _points(axes: Sequence[Array]) -> Array:
    return jnp.stack(axes, axis=-1)


def _sums(*vectors: Sequence[Array]) -> list[Array]:
    return [functools.reduce(jnp.add, parts) for parts in zip(*vectors, strict=True)]
