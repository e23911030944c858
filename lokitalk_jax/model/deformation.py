"""Region-specific deformation fields (LokiTalk, figure 1), in two cascaded stages.

    x_body = x      + g_head Delta_head(x) + g_torso (X_r + Delta_torso(X_r) - x)
    x_can  = x_body + g_lip Delta_lip(x_can) + g_eye Delta_eye(x_can)

Lips and lids move within the face, and the head carries the face. Deformation inverts
this, so the head's motion is undone first, and the fields of lips and lids see points
that errors of the tracked pose have not shifted. These fields, and their gates, belong
to the canonical face: the lower lip's offset is that of the lower lip, however far the
mouth is open. A fixed-point iteration finds x_can from x_body, as skinned avatars find
it (Chen et al., SNARF, 2021). Each Delta_r depends on the signal of
its region only, through a head on a trunk that the regions of a stage share; the last
layer of a head belongs to the identity. A head is a sum of motions, each a function of
position times an amount linear in the signal, like blend shapes: to first order a
turning head and an opening mouth are such sums, and combinations of lip coefficients
that the identity's own clip lacks still add up. The torso moves rigidly about a pivot
in the neck, X_r. Its field, of points at rest and driven by the torso's pose before the
camera, adds how shoulders and cloth give way, and makes up for errors of the torso's
depth. Gates say where a region is; they start from an average anatomy, and the losses
tie them to image masks.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.model import encodings
from lokitalk_jax.structs import EYE_REST, UNIT, Signals

Array = jax.Array

FACE, BODY, TORSO = ("lip", "eye"), ("head",), ("torso",)

# Ellipsoids around lips, and around eyes and brows, in the head frame, metres: centres
# on the canonical face, radii that include the skin which moves with them.
_LIP = ((0.0, 0.046, -0.05), (0.042, 0.036, 0.06))
_EYES = tuple(((side * 0.034, -0.038, -0.03), (0.034, 0.03, 0.05)) for side in (1, -1))
# The head down to the chin, without hair.
_HEAD = ((0.0, -0.01, 0.03), (0.085, 0.11, 0.13))
# The skull without its jaw, seen from the front: centre and half axes.
_SKULL = ((0.0, -0.05), (0.09, 0.08))
_ELLIPSOID_LOGIT = 6.0  # at the centre; 0 on the surface
_NECK_HEIGHT, _NECK_WIDTH = 0.13, 0.02  # metres below the origin; softness of the plane


class Deformed(NamedTuple):
    """Points moved to the canonical space, and how they were moved.

    Attributes:
      points: [B, Q, 3], canonical positions.
      gates: [B, Q, 4], in the order of `structs.REGIONS`, each in [0, 1].
      offsets: [B, Q, 4, 3], gated offset of each region; they sum to points - x.
      torso_rotation: [B, 3, 3], turns head-frame directions to the torso's.
    """

    points: Array
    gates: Array
    offsets: Array
    torso_rotation: Array


class RegionFields(nn.Module):
    """One stage: a trunk over position and dynamic code, and a head for each region.

    Attributes:
      regions: names, in order.
      width: units of the trunk's layers.
      hidden: motions that the identity's last layer mixes.
      octaves: of the positional encoding.
      scale: of the offsets at the start, units of `UNIT`.
      compute: type in which layers compute; parameters and offsets stay float32.
    """

    regions: tuple[str, ...]
    width: int
    hidden: int
    octaves: int
    scale: float
    compute: str

    @nn.compact
    def __call__(self, points, code, signals, last_layers):
        """Offsets before gating, [B, Q, 3] by region.

        Args:
          points: [B, Q, 3], units of `UNIT`.
          code: [D], the identity's dynamic code.
          signals: by region [B, ...].
          last_layers: by region [hidden, 3].
        """
        dense = functools.partial(nn.Dense, dtype=self.compute)
        trunk = dense(self.width, name="position")(
            encodings.positional(points, self.octaves)
        )
        from_code = dense(self.width, use_bias=False, name="code")(code)
        trunk = nn.relu(trunk + trailing(from_code, trunk))
        trunk = nn.relu(dense(self.width, name="trunk")(trunk))
        offsets = {}
        for region in self.regions:
            motions = dense(self.hidden, name=f"{region}_motions")(trunk)
            amounts = dense(self.hidden, name=f"{region}_amounts")(signals[region])
            # Millimetres matter: the last product is summed in float32.
            moved = motions * amounts[:, None]
            offsets[region] = self.scale * (moved @ last_layers[region])
        return offsets


class GateLogits(nn.Module):
    """Learned part of gates' logits; zero at the start.

    Attributes:
      count: gates.
      width: hidden units.
      octaves: of the positional encoding.
      compute: type in which the hidden layer computes.
    """

    count: int
    width: int
    octaves: int
    compute: str

    @nn.compact
    def __call__(self, points, code):
        """Logits [B, Q, count] at points [B, Q, 3] for a dynamic code [D]."""
        dense = functools.partial(nn.Dense, self.width, dtype=self.compute)
        hidden = dense(name="position")(encodings.positional(points, self.octaves))
        hidden += trailing(dense(use_bias=False, name="code")(code), hidden)
        zeros = nn.initializers.zeros
        return nn.Dense(
            self.count, dtype=jnp.float32, kernel_init=zeros, name="logits"
        )(nn.relu(hidden))


def _ellipsoid(points: Array, centre, radii) -> Array:
    centre, radii = (trailing(np.array(x) / UNIT, points) for x in (centre, radii))
    scaled = (points - centre) / radii
    # Summed by hand: XLA's CPU backend is slow at reducing an axis of three.
    x, y, z = (scaled[..., axis] for axis in range(3))
    return _ELLIPSOID_LOGIT * (1 - (x * x + y * y + z * z))


def anatomical_face_logits(points: Array) -> Array:
    """Lip and eye gate logits of an average face. [..., 3] -> [..., 2]."""
    eyes = jnp.maximum(*(_ellipsoid(points, *eye) for eye in _EYES))
    # Far away the paraboloid falls without bound; gradients must still reach a gate.
    return jnp.maximum(jnp.stack([_ellipsoid(points, *_LIP), eyes], axis=-1), -8.0)


def face_box() -> tuple[np.ndarray, np.ndarray]:
    """Corners [3] of a box, units of `UNIT`: outside, lip and eye gates are closed.

    That is, their anatomical parts are below 0.001.
    """
    centres, radii = np.array((_LIP, *_EYES)).swapaxes(0, 1) / UNIT
    low, high = centres - 1.5 * radii, centres + 1.5 * radii
    return low.min(axis=0), high.max(axis=0)


def anatomical_torso_logit(points: Array) -> Array:
    """Torso gate logit: a soft plane at the neck. [..., 3] -> [...]."""
    logit = (points[..., 1] * UNIT - _NECK_HEIGHT) / _NECK_WIDTH
    return jnp.clip(logit, -8.0, 8.0)


def anatomical_head_logit(points: Array) -> Array:
    """Subtracted from the torso's logit inside the head. [..., 3] -> [...]."""
    return jnp.maximum(_ellipsoid(points, *_HEAD), 0.0)


def on_skull(points: Array) -> Array:
    """Share of the skull, without its jaw, at points [..., 3]: [...], in [0, 1].

    It is the same at every depth, so that a face at a wrong depth is on it too.
    """
    centre, axes = (np.array(x) / UNIT for x in _SKULL)
    x, y = ((points[..., i] - centre[i]) / axes[i] for i in range(2))
    return nn.sigmoid(_ELLIPSOID_LOGIT * (1 - (x * x + y * y)))


def torso_motion(points: Array, pose: Array, pivot: Array, gains: Array):
    """Moves points of the torso to where they are when the torso is at rest.

    The torso does not turn with the head; its neck pivot follows a share of the head's
    translation.

    Args:
      points: [B, Q, 3], head frame.
      pose: [B, 6], head pose relative to its mean (rotation vector, translation).
      pivot: [3]; gains: [3], share along each axis, 1 = as the head moves.

    Returns:
      resting points [B, Q, 3] and the rotation [B, 3, 3].
    """
    rotation = encodings.rotation_matrix(pose[:, :3])
    turned = jnp.einsum("bij,bqj->bqi", rotation, points - trailing(pivot, points))
    moved = jnp.einsum("bij,j->bi", rotation, pivot) + pose[:, 3:6] - pivot[None]
    # Undo the part of the pivot's motion that the torso does not follow.
    return turned + trailing(pivot, turned) + (gains[None] * moved)[:, None], rotation


def zero_at_rest(signals: Signals) -> Signals:
    """Signals [..., D] whose eyes are zero at rest too, so that lids start unmoved."""
    rest = trailing(jnp.array(EYE_REST), signals.eye)
    return signals._replace(eye=signals.eye - rest)


def drives(signals: Signals) -> dict[str, Array]:
    """What drives the field of each region, [..., D]; zero when nothing moves.

    For the torso this is its own pose before the camera, to first order: the head's
    less the head's relative to the torso. It is zero where the torso is not tracked.
    """
    at_rest = zero_at_rest(signals)
    torso = at_rest.head - at_rest.torso[..., :6]
    return at_rest._replace(torso=torso)._asdict()


class Deformation(nn.Module):
    """Both stages; see the docstring of the module for the equations.

    Attributes:
      width, hidden, octaves, scale: of `RegionFields`.
      gate_width, gate_octaves: of `GateLogits`.
      anatomical_gates: whether gates start from an average face; else at one half.
      cascade: whether the face stage sees points that the body stage has moved.
      face_steps: of the fixed-point iteration; 1 reads fields where points are seen.
      compute: type in which hidden layers compute.
    """

    width: int
    hidden: int
    octaves: int
    scale: float
    gate_width: int
    gate_octaves: int
    anatomical_gates: bool
    cascade: bool
    face_steps: int
    compute: str

    def setup(self):
        """Builds the fields and the gates."""
        sizes = (self.width, self.hidden, self.octaves, self.scale, self.compute)
        self.face = RegionFields(FACE, *sizes)
        self.body = RegionFields(BODY, *sizes)
        self.torso = RegionFields(TORSO, *sizes)
        gate = (self.gate_width, self.gate_octaves, self.compute)
        self.face_gates = GateLogits(2, *gate)
        self.torso_gate = GateLogits(1, *gate)
        self.head_gate = GateLogits(1, *gate)

    def __call__(self, points: Array, signals: Signals, identity: dict) -> Deformed:
        """Moves points of the head frame to the canonical space.

        Args:
          points: [B, Q, 3], units of `UNIT`.
          signals: leaves [B, ...].
          identity: the identity's parameters, see `model.identity`.
        """
        code = identity["codes"]["dynamic"]
        last_layers = identity["last_layers"]
        drive = drives(signals)

        resting, rotation = torso_motion(
            points, signals.torso[..., :6], identity["pivot"], identity["gains"]
        )
        # A bowed head moves to where the torso is at rest, so the torso's logit of a
        # point competes with the head's, each in the frame in which its region is
        # static.
        logit = self.torso_gate(resting, code) - self.head_gate(points, code)
        if self.anatomical_gates:
            anatomical = anatomical_torso_logit(resting) - anatomical_head_logit(points)
            logit = logit + anatomical[..., None]
        torso_gate = nn.sigmoid(logit)
        deltas = self.body(points, code, drive, last_layers)
        head = (1 - torso_gate) * deltas["head"]
        bent = self.torso(resting, code, drive, last_layers)["torso"]
        torso = torso_gate * (resting + bent - points)
        body = points + head + torso
        start = body if self.cascade else points

        face_gates, lip, eye = self._face_at(start, code, drive, last_layers)
        for _ in range(self.face_steps - 1):
            nearer = start + lip + eye
            face_gates, lip, eye = self._face_at(nearer, code, drive, last_layers)
        return Deformed(
            points=body + lip + eye,
            gates=jnp.concatenate([face_gates, 1 - torso_gate, torso_gate], axis=-1),
            offsets=jnp.stack([lip, eye, head, torso], axis=-2),
            torso_rotation=rotation,
        )

    def _face_at(self, points, code, drive, last_layers) -> tuple[Array, Array, Array]:
        """Gates [B, Q, 2] and gated offsets of lips and lids at points [B, Q, 3]."""
        logits = self.face_gates(points, code)
        if self.anatomical_gates:
            logits = logits + anatomical_face_logits(points)
        gates = nn.sigmoid(logits)
        deltas = self.face(points, code, drive, last_layers)
        return gates, gates[..., :1] * deltas["lip"], gates[..., 1:] * deltas["eye"]
