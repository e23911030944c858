"""The walk from rays and signals to pixels, on one page."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.model import hashgrid, rendering, sampling, shapes
from lokitalk_jax.model.architecture import Model
from lokitalk_jax.model.canonical import Decoder
from lokitalk_jax.model.deformation import Deformed
from lokitalk_jax.model.rays import box_interval
from lokitalk_jax.speech import audio2motion
from lokitalk_jax.structs import REGIONS, AvatarParams, Rays, Signals

Array = jax.Array


class Samples(NamedTuple):
    """The samples of rays, for the losses.

    Attributes:
      weights: [B, R, S], of volume rendering.
      distances: [B, R, S], along the rays; units of `UNIT`.
      widths: [B, R, S], lengths of the samples' intervals; units of `UNIT`.
      deformed: of the samples, axis Q = R * S.
    """

    weights: Array
    distances: Array
    widths: Array
    deformed: Deformed


def with_predicted_lips(
    model: Model,
    shared: dict,
    signals: Signals,
    audio_windows: Array | None,
) -> Signals:
    """Signals [B, ...] with lips that the audio encoder predicts, if there is one.

    Args:
      model: modules and sizes.
      shared: parameters that all identities share.
      signals: as tracked.
      audio_windows: [B, rows, inputs], see `structs.Batch`.
    """
    if not model.voice:
        return signals
    lip = audio2motion.apply(shared["voice"], audio_windows)
    return signals._replace(lip=lip)


def deform(
    model: Model, params: AvatarParams, points: Array, signals: Signals
) -> Deformed:
    """Moves points [B, Q, 3] of the head frame to the canonical space."""
    dynamic = params.shared["dynamic"]
    deformed = model.deformation.apply(dynamic, points, signals, params.identity)
    return cast(Deformed, deformed)


def grid_features(model: Model, params: AvatarParams, points: Array) -> Array:
    """Features of canonical points [B, Q, 3] -> [B, Q, L * C]."""
    low, high = jnp.array(model.sampling.low), jnp.array(model.sampling.high)
    # Cells are cubes: the box's longest side spans the grid's unit cube.
    middle = trailing((low + high) / 2, points)
    cube = (points - middle) / jnp.max(high - low) + 0.5
    table = params.identity["grid"]
    features: Any = hashgrid.encode(table, cube.reshape(-1, 3).T, model.grid)
    inactive = model.grid.levels - len(features)
    if inactive:
        features = jnp.pad(features, ((0, inactive), (0, 0), (0, 0)))
    return jnp.moveaxis(features, 0, 1).reshape(*points.shape[:-1], -1)


def density(
    model: Model, params: AvatarParams, points: Array, signals: Signals
) -> Array:
    """Density at points of the head frame, [B, Q, 3] -> [B, Q], per `UNIT`."""
    deformed = deform(model, params, points, signals)
    features = grid_features(model, params, deformed.points)
    found, _ = model.decoder.apply(
        params.shared["static"],
        features,
        deformed,
        signals,
        params.identity["codes"],
        method=Decoder.density,
    )
    return found


def render(
    model: Model,
    params: AvatarParams,
    rays: Rays,
    signals: Signals,
    plate: Array,
    key: Array | None = None,
    torso: bool = True,
) -> tuple[rendering.Rendered, Samples]:
    """Renders rays of frames of one identity.

    Args:
      model: modules and sizes.
      params: of the identity.
      rays: origins [B, 1, 3] and directions [B, R, 3].
      signals: leaves [B, ...].
      plate: [B, R, 3], colours behind the person.
      key: of the random places of samples; None makes rendering deterministic.
      torso: False shows the plate in the place of the torso, for protocols that score
        the head alone.

    Returns:
      the pixels, axes [B, R], and the samples.

    Raises:
      AssertionError: arrays do not fit together; see `shapes`.
    """
    shapes.assert_params(model, params)
    shapes.assert_rays(rays, plate)
    shapes.assert_signals(model, signals, len(rays.directions))

    spec = model.sampling
    near, far = box_interval(rays, jnp.array(spec.low), jnp.array(spec.high))
    distances, widths = sampling.guided_samples(
        params.density_grid, rays, near, far, spec, key
    )
    points = rays.origins[..., None, :] + (
        rays.directions[..., None, :] * distances[..., None]
    )
    frames, count, samples = distances.shape
    points = points.reshape(frames, count * samples, 3)
    deformed = deform(model, params, points, signals)
    features = grid_features(model, params, deformed.points)
    sigma, colours = model.decoder.apply(
        params.shared["static"],
        features,
        rays.directions,
        deformed,
        signals,
        params.identity["codes"],
        samples,
    )

    def by_ray(values: Any) -> Array:
        return values.reshape(frames, count, samples, *values.shape[2:])

    weights = sampling.composite_weights(by_ray(sigma), widths)
    if not torso:
        weights *= 1 - by_ray(deformed.gates)[..., REGIONS.index("torso")]
    rendered = rendering.composite(
        weights,
        by_ray(colours),
        distances,
        by_ray(deformed.gates),
        by_ray(deformed.offsets),
        plate,
        far,
    )
    return rendered, Samples(weights, distances, widths, deformed)
