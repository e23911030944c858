"""Renders rays through baked fields: `nerf.render` for CPUs, without gradients.

Three things differ from `nerf.render`. Fields are interpolated. Arrays have samples
before rays, so that neighbouring numbers belong to neighbouring pixels, which share
cells of the grids. And the colour network sees mean geometry features of a few groups
of samples of a ray, not each sample.
"""

import functools
import itertools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.model import baked, nerf
from lokitalk_jax.model.architecture import Model
from lokitalk_jax.model.baked import FrameFields, Moved
from lokitalk_jax.model.canonical import Decoder
from lokitalk_jax.model.deformation import Deformed
from lokitalk_jax.model.rays import box_interval
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.structs import REGIONS, AvatarParams, Rays, Signals

Array = jax.Array

_GROUPS = 3  # of samples of a ray; colours are then within 50 dB of every sample's
_TORSO = REGIONS.index("torso")


class _Samples(NamedTuple):
    """Samples of rays.

    Attributes:
      distances: [B, S, R].
      moved: their points, Q = S * R.
      geometry: [B, S * R, G], see `Decoder.density`.
      weights: [B, S, R], of volume rendering.
    """

    distances: Array
    moved: Moved
    geometry: Array
    weights: Array


def follow(
    model: Model,
    params: AvatarParams,
    fields: FrameFields,
    rays: Rays,
    intervals: tuple[Array, Array],
    signals: Signals,
    torso: bool = True,
) -> tuple[Array, Array]:
    """Where rays hit, and whether they pass lips or eyes; arguments as of `render`.

    Returns:
      weights [B, R, S] of volume rendering, and the largest gate of lip or eye along
      each ray, [B, R], visible or not: density there depends on their signals.
    """
    found = _samples(model, params, fields, rays, intervals, signals, torso)
    lip, eye, *_ = found.moved.gates
    gates = jnp.maximum(lip, eye).reshape(found.weights.shape)
    face = functools.reduce(jnp.maximum, (gates[:, s] for s in range(gates.shape[1])))
    return jnp.swapaxes(found.weights, 1, 2), face


def render(
    model: Model,
    params: AvatarParams,
    fields: FrameFields,
    rays: Rays,
    intervals: tuple[Array, Array],
    signals: Signals,
    torso: bool = True,
) -> Rendered:
    """Renders rays of frames of one identity, over black.

    Args:
      model: modules and sizes.
      params: of the identity; the density grid is not read.
      fields: of the frames; without those of the face, lips and lids rest there.
      rays: origins [B, 1, 3] and directions [B, R, 3].
      intervals: distances and widths of the samples [B, R, S], see `sampling`.
      signals: leaves [B, ...].
      torso: False leaves the torso out, see `nerf.render`.

    Returns:
      The rendered rays, axes [B, R].
    """
    low, high = jnp.array(model.sampling.low), jnp.array(model.sampling.high)
    _, far = box_interval(rays, low, high)
    found = _samples(model, params, fields, rays, intervals, signals, torso)

    def total(values: Array) -> Array:
        return _sum(found.weights * values.reshape(found.weights.shape))

    alpha = _sum(found.weights)
    lengths = [
        jnp.sqrt(x * x + y * y + z * z + 1e-12) for x, y, z in found.moved.offsets
    ]
    return Rendered(
        rgb=_colour(model, params, rays, found),
        alpha=alpha,
        depth=total(found.distances) + (1 - alpha) * far,
        regions=jnp.stack([total(gate) for gate in found.moved.gates], axis=-1),
        deformation=jnp.stack([total(length) for length in lengths], axis=-1),
    )


def _samples(
    model: Model,
    params: AvatarParams,
    fields: FrameFields,
    rays: Rays,
    intervals: tuple[Array, Array],
    signals: Signals,
    torso: bool,
) -> _Samples:
    distances, widths = (jnp.swapaxes(x, 1, 2) for x in intervals)
    axes = [
        (origin[..., None] + direction[:, None] * distances).reshape(len(distances), -1)
        for origin, direction in zip(
            jnp.moveaxis(rays.origins, -1, 0),
            jnp.moveaxis(rays.directions, -1, 0),
            strict=True,
        )
    ]
    moved = baked.move(model, fields, axes, signals, params.identity)
    decoded: Any = model.decoder.apply(
        params.shared["static"],
        nerf.grid_features(model, params, jnp.stack(moved.axes, axis=-1)),
        () if fields.face is None else moved.gates[:2],
        signals,
        params.identity["codes"],
        method=_density,
    )
    density, geometry = decoded
    found = _weights(density.reshape(distances.shape), widths)
    if not torso:
        found *= 1 - moved.gates[_TORSO].reshape(found.shape)
    return _Samples(distances, moved, geometry, found)


def _density(module: Decoder, features, gates, signals, codes):
    """`Decoder.density` with the gated signals added without a product of matrices.

    So XLA's CPU backend adds them on its way through the hidden units.
    """
    hidden = module.from_grid(module.feature_scale * features)
    hidden += trailing(module.from_geometry_code(codes["geometry"]), hidden)
    if module.conditioned and gates:
        lip = module.from_lip(nn.relu(module.embed_lip(signals.lip)))
        eye = module.from_eye(nn.relu(module.embed_eye(signals.eye)))
        for gate, moved in zip(gates, (lip, eye), strict=True):
            hidden += gate[..., None] * moved[:, None]
    out = module.density_out(nn.relu(hidden))
    return jnp.exp(jnp.minimum(out[..., 0], 11.0)), out[..., 1:]


def _sum(values: Array) -> Array:
    """Sum over axis 1. XLA's CPU backend fuses additions, but not reductions."""
    parts = (values[:, s] for s in range(values.shape[1]))
    return functools.reduce(jnp.add, parts)


def _weights(density: Array, widths: Array) -> Array:
    """`sampling.composite_weights` along axis 1."""
    through, found = jnp.ones_like(density[:, 0]), []
    for s in range(density.shape[1]):
        passed = jnp.exp(-density[:, s] * widths[:, s])
        found.append(through * (1 - passed))
        through = through * passed
    return jnp.stack(found, axis=1)


def _colour(model: Model, params: AvatarParams, rays: Rays, samples: _Samples) -> Array:
    """Colours of rays, [B, R, 3]."""
    frames, count, rays_of_frame = samples.weights.shape
    torso = samples.moved.gates[_TORSO]
    features = jnp.concatenate([samples.geometry, torso[..., None]], axis=-1)
    features = features.reshape(frames, count, rays_of_frame, -1)
    ends = np.linspace(0, count, min(_GROUPS, count) + 1).round().astype(int)
    shares, means = [], []
    for group in itertools.starmap(slice, itertools.pairwise(ends)):
        inside = samples.weights[:, group]
        share = _sum(inside)[..., None]
        shares.append(share)
        means.append(_sum(inside[..., None] * features[:, group]) / (share + 1e-6))
    groups = len(shares)
    mean = jnp.stack(means, axis=2).reshape(frames, rays_of_frame * groups, -1)
    # Of the deformed points, colours depend on these alone.
    gates = jnp.pad(mean[..., -1:], ((0, 0), (0, 0), (_TORSO, 0)))
    unread = jnp.zeros(0)
    deformed = Deformed(unread, gates, unread, samples.moved.torso_rotation)
    decoded: Any = model.decoder.apply(
        params.shared["static"],
        mean[..., :-1],
        rays.directions,
        deformed,
        params.identity["codes"],
        groups,
        method=Decoder.colour,
    )
    colours = decoded.reshape(frames, rays_of_frame, groups, 3)
    parts = (share * colours[:, :, g] for g, share in enumerate(shares))
    return functools.reduce(jnp.add, parts)
