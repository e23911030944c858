"""Training losses of one identity, a pure function of its slice of a batch."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from lokitalk_jax import lpips
from lokitalk_jax.model import deformation, identity, nerf, rays, shapes
from lokitalk_jax.model.architecture import Model
from lokitalk_jax.structs import REGIONS, UNIT, AvatarParams, Batch, Signals
from lokitalk_jax.training import residuals

Array = jax.Array

# Stride of the samples that are displaced, and by how much, units of `UNIT`, to measure
# how smoothly offsets vary.
_SMOOTHNESS_STRIDE, _SMOOTHNESS_STEP = 16, 0.02
# Landmarks further off than this, metres, count less and less.
_LANDMARK_SLIP = 0.006
# Parameters of gates, which only the region masks train.
_GATES = ("face_gates", "torso_gate", "head_gate")
# Opacities are kept this far from 0 and 1, where the entropy's slope is infinite.
_PROBABILITY_FLOOR = 1e-5
# Offsets shorter than this, units of `UNIT` (24 micrometres), count as zero.
_LENGTH_FLOOR = 1e-4


class LossWeights(NamedTuple):
    """Weights of the terms; see `base_config`."""

    alpha: float
    attention: float
    entropy: float
    magnitude: float
    skull: float
    smoothness: float
    landmarks: float
    outside: float
    residual: float
    lpips: float
    distortion: float


def attention(rendered_regions: Array, masks: Array) -> Array:
    """Cross-attention loss (LokiTalk, figure 1): a region's gate against its mask.

    Args:
      rendered_regions: [..., 4], rendered gates.
      masks: [..., 4], image masks.
    """
    return jnp.mean((rendered_regions - masks) ** 2)


def entropy(alpha: Array) -> Array:
    """Mean entropy of opacities [...]: a ray hits the person or misses it."""
    p = jnp.clip(alpha, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    return jnp.mean(-p * jnp.log(p) - (1 - p) * jnp.log(1 - p))


def magnitude(samples: nerf.Samples) -> Array:
    """Mean squared offset [] of the lip, eye and head fields, at visible samples.

    The torso is left out: its offset is the body's true motion.
    """
    squares = jnp.sum(samples.deformed.offsets[..., :3, :] ** 2, axis=(-2, -1))
    return _visible_mean(squares, samples)


def skull(samples: nerf.Samples) -> Array:
    """Mean squared offset [] of the head's field on the skull, at visible samples.

    A skull is rigid. A field that is free there makes up for parallax: surfaces then
    lie at wrong depths, and come apart in poses that training does not show.
    """
    points = jax.lax.stop_gradient(samples.deformed.points)
    head = samples.deformed.offsets[..., REGIONS.index("head"), :]
    squares = deformation.on_skull(points) * jnp.sum(head**2, axis=-1)
    return _visible_mean(squares, samples)


def _visible_mean(values: Array, samples: nerf.Samples) -> Array:
    """Mean of values [B, Q], weighted by how visible each sample is."""
    weights = jax.lax.stop_gradient(samples.weights).reshape(values.shape)
    return jnp.sum(weights * values) / (jnp.sum(weights) + 1e-6)


def outside(samples: nerf.Samples, masks: Array) -> Array:
    """Length of lip and eye offsets on rays outside their masks, in `UNIT`.

    It complements `attention`, which only ties gates to masks: where a gate is open
    outside its mask, the field may still move. Mean over rays of the offsets' length,
    weighted by volume rendering.

    Args:
      samples: of rays [B, R].
      masks: [B, R, 4], image masks.
    """
    weights = jax.lax.stop_gradient(samples.weights)[..., None]
    offsets = samples.deformed.offsets[..., :2, :].reshape(*weights.shape[:-1], 2, 3)
    # The gradient of a length is infinite at zero.
    lengths = jnp.sqrt(jnp.sum(offsets**2, axis=-1) + _LENGTH_FLOOR**2)
    return jnp.mean(jnp.sum(weights * lengths * (1 - masks[:, :, None, :2]), (2, 3)))


def distortion(samples: nerf.Samples) -> Array:
    """Spread of the rendering weights along rays, [] in `UNIT`.

    Mean over rays of the expected distance between two points of a ray that are drawn
    by their weights (Barron et al., mip-NeRF 360, 2022, equation 15, in lengths along
    the ray). Makes surfaces thin.
    """
    weights, distances = samples.weights, samples.distances
    before = jnp.cumsum(weights, axis=-1) - weights
    nearer = jnp.cumsum(weights * distances, axis=-1) - weights * distances
    between = 2 * weights * (distances * before - nearer)
    within = weights**2 * samples.widths / 3
    return jnp.mean(jnp.sum(between + within, axis=-1))


def smoothness(
    model: Model,
    params: AvatarParams,
    samples: nerf.Samples,
    signals: Signals,
    key: Array,
) -> Array:
    """Mean squared difference [] of lip, eye and head offsets some millimetres apart.

    Both points are in the canonical space near visible surfaces, where fields act.
    """
    points = jax.lax.stop_gradient(samples.deformed.points[:, ::_SMOOTHNESS_STRIDE])
    shift = _SMOOTHNESS_STEP * jax.random.normal(key, points.shape)
    both = jnp.concatenate([points, points + shift], axis=1)
    deformed = nerf.deform(model, params, both, signals)
    here, there = jnp.split(deformed.offsets[..., :3, :], 2, axis=1)
    return jnp.mean(jnp.sum((here - there) ** 2, axis=-1)) / _SMOOTHNESS_STEP**2


def landmarks(
    model: Model, params: AvatarParams, points: Array, signals: Signals
) -> Array:
    """Distance of a landmark's canonical places in the frames of a step.

    The images alone do not determine which point of a lip is which, or its depth. Mean
    squared distance from the mean over frames, robust against tracks that slip (Geman
    and McClure, 1987), in squared units of `UNIT`; zero for steps of one frame.

    Args:
      model: the model.
      params: of the identity.
      points: [B, M, 3], see `Batch.face_points`.
      signals: leaves [B, ...].
    """
    # Gates and the torso's motion could be bent to move a chin, so they get no
    # gradient: the region masks train gates, and the images the torso.
    dynamic = {
        name: jax.lax.stop_gradient(part) if name in _GATES else part
        for name, part in params.shared["dynamic"]["params"].items()
    }
    torso = {k: params.identity[k] for k in ("pivot", "gains")}
    params = params._replace(
        shared=params.shared | {"dynamic": {"params": dynamic}},
        identity=params.identity | jax.lax.stop_gradient(torso),
    )
    found = nerf.deform(model, params, points, signals).points
    squares = jnp.sum((found - jnp.mean(found, axis=0, keepdims=True)) ** 2, axis=-1)
    return jnp.mean(squares / (1 + squares / (_LANDMARK_SLIP / UNIT) ** 2))


def identity_loss(
    model: Model,
    weights: LossWeights,
    shared: dict,
    residual: dict,
    density_grid: Array,
    batch: Batch,
    key: Array,
    lpips_params=None,
) -> tuple[Array, dict]:
    """Loss of one identity.

    Args:
      model: the model.
      weights: of the terms.
      shared: parameters of all identities.
      residual: of this identity, leaves without N.
      density_grid: [X, Y, Z].
      batch: this identity's slice, leaves without N. With `lpips_params` the rays of
        each frame are a square patch, row by row.
      key: of everything that is random in the step.
      lpips_params: of `lpips`; adds the perceptual term and fixes motion, which makes
        pictures better and a step half as long. None leaves out both.

    Returns:
      the loss and its terms, scalars.

    Raises:
      AssertionError: arrays do not fit together; see `model.shapes`.
    """
    shapes.assert_batch(model, batch, landmarks=bool(weights.landmarks))
    place_key, smooth_key, drop_key = jax.random.split(key, 3)
    predicted = {}
    if model.encoder:
        encoded = model.encoder.apply(shared["encoder"], batch.references)
        predicted = cast(dict, encoded)
    fixed = lpips_params is not None
    residual_term = residuals.size(_still(residual) if fixed else residual, predicted)
    if predicted:
        shared, residual = residuals.drop(
            shared, residual, predicted, drop_key, model.residual_dropout
        )
    combined = identity.combine(shared["base"], residual)
    params = AvatarParams(shared, combined, density_grid)
    if fixed:
        params = _fix_motion(params)
    signals = nerf.with_predicted_lips(
        model, shared, batch.signals, batch.audio_windows
    )
    rendered, samples = nerf.render(
        model,
        params,
        rays.generate(batch.pixels, batch.intrinsics, batch.head_to_camera),
        signals,
        batch.plate,
        place_key,
    )
    squared = jnp.mean((rendered.rgb - batch.rgb) ** 2)
    terms = {
        "rgb": squared,
        "alpha": jnp.mean((rendered.alpha - batch.alpha) ** 2),
        "attention": attention(rendered.regions, batch.regions),
        "entropy": entropy(rendered.alpha),
        "magnitude": magnitude(samples),
        "residual": residual_term,
    }
    if weights.smoothness:
        terms["smoothness"] = smoothness(model, params, samples, signals, smooth_key)
    if weights.skull:
        terms["skull"] = skull(samples)
    if weights.distortion:
        terms["distortion"] = distortion(samples)
    if weights.outside:
        terms["outside"] = outside(samples, batch.regions)
    if weights.landmarks:
        terms["landmarks"] = landmarks(model, params, batch.face_points, signals)
    if lpips_params is not None:
        terms["lpips"] = _patch_lpips(lpips_params, rendered.rgb, batch.rgb)
    factors = {"rgb": 1.0, **weights._asdict()}
    loss: Any = sum(factors[name] * value for name, value in terms.items())
    return loss, {"loss": loss, "psnr": -10 * jnp.log10(squared + 1e-10), **terms}


def _fix_motion(params: AvatarParams) -> AvatarParams:
    """The same parameters; the deformation fields and gates get no gradient."""
    dynamic = jax.lax.stop_gradient(params.shared["dynamic"])
    return params._replace(
        shared=params.shared | {"dynamic": dynamic}, identity=_still(params.identity)
    )


def _still(tree: dict) -> dict:
    """The same identity parameters or residual; those of motion get no gradient.

    Not even a small one, such as the residual's own size has: where it is the only
    one, Adam makes whole steps of it, and takes the motion back.
    """
    stop = jax.lax.stop_gradient
    codes = tree["codes"] | {"dynamic": stop(tree["codes"]["dynamic"])}
    names = tree.keys() & {"last_layers", "pivot", "gains"}
    return tree | {name: stop(tree[name]) for name in sorted(names)} | {"codes": codes}


def _patch_lpips(params, rendered: Array, truth: Array) -> Array:
    side = round(rendered.shape[1] ** 0.5)

    def square(rgb: Array) -> Array:
        return rgb.reshape(rgb.shape[0], side, side, 3)

    return jnp.mean(lpips.lpips(params, square(rendered), square(truth), "alex"))
