"""Training losses of one identity, a pure function of its own slice of a batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lokitalk_jax import lpips
from lokitalk_jax.model import identity, nerf, rays
from lokitalk_jax.structs import UNIT, AvatarParams, Batch, Signals

Array = jax.Array

# Every n-th sample is displaced to see how smoothly offsets vary, and by how much.
_SMOOTHNESS_STRIDE, _SMOOTHNESS_STEP = 16, 0.02
# A landmark that lies further off than this, metres, counts less and less.
_LANDMARK_SLIP = 0.006
# Parameters of gates, which the region masks alone teach.
_GATES = ("face_gates", "torso_gate", "head_gate")
# Opacities are kept this far from 0 and 1, where the entropy's slope is infinite.
_PROBABILITY_FLOOR = 1e-5
# Offsets shorter than this, units of `UNIT` (24 micrometres), count as still.
_LENGTH_FLOOR = 1e-4


class LossWeights(NamedTuple):
    """Weights of the terms; see `base_config.py`."""

    alpha: float
    attention: float
    entropy: float
    magnitude: float
    smoothness: float
    landmarks: float
    outside: float
    own: float
    lpips: float


def attention(rendered_regions: Array, masks: Array) -> Array:
    """Cross-attention loss (LokiTalk, figure 1): a region's gate against its mask.

    Args:
      rendered_regions: [..., 4], rendered gates.
      masks: [..., 4], image masks.
    """
    return jnp.mean((rendered_regions - masks) ** 2)


def entropy(alpha: Array) -> Array:
    """Mean entropy of opacities: a ray meets the person or it does not."""
    p = jnp.clip(alpha, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    return jnp.mean(-p * jnp.log(p) - (1 - p) * jnp.log(1 - p))


def magnitude(samples: nerf.Samples) -> Array:
    """Mean squared offset of the lip, eye and head fields, at visible samples.

    The torso is left out: its offset is the body's true motion.
    """
    weights = jax.lax.stop_gradient(samples.weights).reshape(
        samples.deformed.offsets.shape[:2]
    )
    squares = jnp.sum(samples.deformed.offsets[..., :3, :] ** 2, axis=(-2, -1))
    return jnp.sum(weights * squares) / (jnp.sum(weights) + 1e-6)


def outside(samples: nerf.Samples, masks: Array) -> Array:
    """Length of lip and eye offsets where a ray sees something else, [] in `UNIT`.

    The other half of `attention`, which ties a gate to its mask: what a gate lets
    through beside the mask, a field may still move. Mean over rays of the offsets'
    length, weighted by volume rendering.

    Args:
      samples: of rays [B, R].
      masks: [B, R, 4], image masks.
    """
    weights = jax.lax.stop_gradient(samples.weights)[..., None]
    offsets = samples.deformed.offsets[..., :2, :].reshape(*weights.shape[:-1], 2, 3)
    # The length's slope is infinite where nothing moves.
    lengths = jnp.sqrt(jnp.sum(offsets**2, axis=-1) + _LENGTH_FLOOR**2)
    return jnp.mean(jnp.sum(weights * lengths * (1 - masks[:, :, None, :2]), (2, 3)))


def smoothness(
    model: nerf.Model,
    params: AvatarParams,
    samples: nerf.Samples,
    signals: Signals,
    key: Array,
) -> Array:
    """Mean squared difference of lip, eye and head offsets a few millimetres apart.

    Both ends are points of the canonical space near visible surfaces, so the term
    looks where the fields act.
    """
    points = jax.lax.stop_gradient(samples.deformed.points[:, ::_SMOOTHNESS_STRIDE])
    shift = _SMOOTHNESS_STEP * jax.random.normal(key, points.shape)
    both = jnp.concatenate([points, points + shift], axis=1)
    deformed = nerf.deform(model, params, both, signals)
    here, there = jnp.split(deformed.offsets[..., :3, :], 2, axis=1)
    return jnp.mean(jnp.sum((here - there) ** 2, axis=-1)) / _SMOOTHNESS_STEP**2


def landmarks(
    model: nerf.Model, params: AvatarParams, points: Array, signals: Signals
) -> Array:
    """How far apart fields carry what is the same point of a face in all frames.

    Pictures alone leave open which spot of a lip is which, and how deep it lies.
    Mean squared distance from the mean over frames, robust against tracks that slip
    (Geman and McClure, 1987), in squared units of `UNIT`; zero where a step sees one
    frame.

    Args:
      model: the model.
      params: of the identity.
      points: [B, M, 3], see `Batch.face_points`.
      signals: leaves [B, ...].
    """
    # Gates learn from the region masks alone, and a torso from what shows it: both
    # could be bent to carry a chin.
    dynamic = {
        name: jax.lax.stop_gradient(part) if name in _GATES else part
        for name, part in params.shared["dynamic"]["params"].items()
    }
    still = {
        name: jax.lax.stop_gradient(params.identity[name])
        for name in ("pivot", "gains")
    }
    params = params._replace(
        shared=params.shared | {"dynamic": {"params": dynamic}},
        identity=params.identity | still,
    )
    found = nerf.deform(model, params, points, signals).points
    squares = jnp.sum((found - jnp.mean(found, axis=0)) ** 2, axis=-1)
    return jnp.mean(squares / (1 + squares / (_LANDMARK_SLIP / UNIT) ** 2))


def _own_part(own: dict, told: dict) -> Array:
    """Mean square of what is a person's own in codes and last layers.

    With an encoder, of the residual around what it tells.
    """
    total = 0.0
    # In a fixed order: every host must compile the same program.
    for name in ("codes", "last_layers"):
        if name not in own:
            continue
        residual = own[name]
        if told:
            residual = jax.tree.map(jnp.subtract, residual, told[name])
        total += sum(jnp.mean(leaf**2) for leaf in jax.tree.leaves(residual))
    return total


def _as_seen(shared: dict, own: dict, told: dict, key: Array, rate: float):
    """Now and then a person as the encoder sees them, for the encoder to learn from.

    Such a step teaches nothing to the other parts: a renderer that had to serve both
    what is a person's own and what the encoder makes of them would serve both worse.
    """
    keep = jax.random.bernoulli(key, 1 - rate).astype(jnp.float32)

    def teach(leaf: Array) -> Array:
        return keep * leaf + (1 - keep) * jax.lax.stop_gradient(leaf)

    mixed = {
        name: jax.tree.map(
            lambda mine, seen: keep * mine + (1 - keep) * seen, own[name], part
        )
        for name, part in told.items()
    }
    return jax.tree.map(teach, shared), jax.tree.map(teach, own) | mixed


def identity_loss(
    model: nerf.Model,
    weights: LossWeights,
    shared: dict,
    own: dict,
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
      own: what this identity adds, leaves without N.
      density_grid: [X, Y, Z].
      batch: this identity's slice, leaves without N. With `lpips_params` the rays of
        each frame are a square patch, row by row.
      key: of everything that is random in the step.
      lpips_params: of `perceptual`, switches the perceptual term on.

    Returns:
      the loss and its terms, scalars.
    """
    place_key, smooth_key, own_key = jax.random.split(key, 3)
    lip_key = jax.random.fold_in(key, 3)
    told = {}
    if model.encoder:
        told = model.encoder.apply(shared["encoder"], batch.references)
    own_part = _own_part(own, told)
    if told:
        shared, own = _as_seen(shared, own, told, own_key, model.own_dropout)
    params = AvatarParams(shared, identity.combine(shared["base"], own), density_grid)
    signals = nerf.with_predicted_lips(
        model, shared, batch.signals, batch.audio_windows, lip_key
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
        "own": own_part,
    }
    if weights.smoothness:
        terms["smoothness"] = smoothness(model, params, samples, signals, smooth_key)
    if weights.outside:
        terms["outside"] = outside(samples, batch.regions)
    if weights.landmarks:
        terms["landmarks"] = landmarks(model, params, batch.face_points, signals)
    if lpips_params is not None:
        terms["lpips"] = _patch_lpips(lpips_params, rendered.rgb, batch.rgb)
    factors = {"rgb": 1.0, **weights._asdict()}
    loss = sum(factors[name] * value for name, value in terms.items())
    return loss, {"loss": loss, "psnr": -10 * jnp.log10(squared + 1e-10), **terms}


def _patch_lpips(params, rendered: Array, truth: Array) -> Array:
    side = round(rendered.shape[1] ** 0.5)

    def square(rgb: Array) -> Array:
        return rgb.reshape(rgb.shape[0], side, side, 3)

    return jnp.mean(lpips.lpips(params, square(rendered), square(truth), "alex"))
