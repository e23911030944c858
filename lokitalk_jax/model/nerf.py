"""The walk from rays and signals to pixels, on one page."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from lokitalk_jax.model import hashgrid, holistic, identity, rendering, sampling
from lokitalk_jax.model.canonical import Decoder
from lokitalk_jax.model.deformation import BODY, FACE, Deformation, Deformed
from lokitalk_jax.model.encoder import IdentityEncoder
from lokitalk_jax.model.holistic import HolisticDeformation
from lokitalk_jax.model.rays import box_interval
from lokitalk_jax.speech import audio2motion, sound_features
from lokitalk_jax.structs import (
    REGIONS,
    TORSO_LAGS,
    UNIT,
    AvatarParams,
    Rays,
    References,
    Signals,
)

Array = jax.Array


class Model(NamedTuple):
    """Modules and sizes; static, holds no parameters.

    Attributes:
      deformation, decoder, encoder: modules; no encoder in models of one person.
      identity, sampling: sizes.
      lip_dim: coefficients of the lip signal.
      reference_size: E, pixels along a side of the encoder's pictures.
      own_dropout: how often a training step takes a person as the encoder sees them.
      voice: sizes of the audio encoder that is trained along, if one is.
    """

    deformation: Deformation | HolisticDeformation
    decoder: Decoder
    identity: identity.IdentitySpec
    sampling: sampling.SamplingSpec
    lip_dim: int
    encoder: IdentityEncoder | None
    reference_size: int
    own_dropout: float
    voice: audio2motion.Spec | None

    @property
    def grid(self) -> hashgrid.GridSpec:
        """Sizes of the canonical grid."""
        return self.identity.grid


class Samples(NamedTuple):
    """Everything the model knows about the samples of rays, for the losses.

    Attributes:
      weights: [B, R, S], of volume rendering.
      deformed: of the samples, axis Q = R * S.
    """

    weights: Array
    deformed: Deformed


def from_config(config) -> Model:
    """Unpacks the fields `model`, `grid`, `scene`, `sampling` and `lips` of a config.

    Raises:
      ValueError: `model.fields` or `model.compute` is unknown, or an audio encoder is
        to hear a file.
    """
    low = tuple(x / UNIT for x in config.scene.low)
    high = tuple(x / UNIT for x in config.scene.high)
    m = config.model
    if m.compute not in ("float32", "bfloat16"):
        raise ValueError(f"model.compute is {m.compute!r}; it is float32 or bfloat16")
    deformation, regions = _deformation(m)
    grid = hashgrid.GridSpec(**config.grid)
    return Model(
        deformation=deformation,
        decoder=Decoder(
            width=m.decoder_width,
            embedding=m.signal_embedding,
            geometry=m.geometry,
            feature_scale=m.feature_scale,
            conditioned=m.condition_decoder,
            compute=m.compute,
        ),
        identity=identity.IdentitySpec(
            code=m.code,
            hidden=m.deform_hidden,
            regions=regions,
            own_layers=m.own_last_layers,
            offset=m.identity_offset,
            grid=grid,
            grid_scale=m.grid_scale,
        ),
        sampling=sampling.SamplingSpec(
            low=low,
            high=high,
            cells=tuple(config.sampling.cells),
            bins=config.sampling.bins,
            samples=config.sampling.samples,
            uniform=config.sampling.uniform,
            decay=config.sampling.decay,
        ),
        lip_dim=m.lip_dim,
        encoder=IdentityEncoder(
            code=m.code,
            hidden=m.deform_hidden,
            regions=regions if m.own_last_layers else (),
            offset=m.identity_offset,
            grid=grid,
            width=m.encoder_width,
        )
        if m.encoder
        else None,
        reference_size=m.reference_size,
        own_dropout=m.own_dropout,
        voice=_voice(config) if config.lips == "encoder" else None,
    )


def _voice(config) -> audio2motion.Spec:
    hears = config.voice.hears
    if hears not in sound_features.WIDTHS:
        raise ValueError(
            f"an audio encoder that is trained along hears sound, not {hears!r}; "
            f"voice.hears is one of {', '.join(sound_features.WIDTHS)} then"
        )
    inputs = sound_features.WIDTHS[hears]
    return audio2motion.Spec(lip_dim=config.model.lip_dim, hears=hears, inputs=inputs)


def _deformation(m) -> tuple[nn.Module, tuple[str, ...]]:
    """The fields of a config's section `model`, and the regions with last layers."""
    sizes = {
        "width": m.deform_width,
        "hidden": m.deform_hidden,
        "octaves": m.octaves,
        "scale": m.offset_scale,
        "compute": m.compute,
    }
    if m.fields == "holistic":
        return HolisticDeformation(**sizes), holistic.REGIONS
    if m.fields != "regions":
        raise ValueError(f"model.fields is {m.fields!r}; it is regions or holistic")
    fields = Deformation(
        **sizes,
        gate_width=m.gate_width,
        gate_octaves=m.gate_octaves,
        anatomical_gates=m.anatomical_gates,
        torso_residual=m.torso_residual,
        cascade=m.face_after_body,
    )
    return fields, FACE + (BODY if m.torso_residual else BODY[:1])


def init(model: Model, key: Array, identities: int) -> dict:
    """Parameters {'shared': ..., 'identity': ...}; leaves of the latter lead with N."""
    base_key, deformation_key, decoder_key = jax.random.split(key, 3)
    encoder_key = jax.random.fold_in(key, 3)
    base = identity.init_base(base_key, model.identity)
    points = jnp.zeros((1, 1, 3))
    signals = Signals(
        lip=jnp.zeros((1, model.lip_dim)),
        eye=jnp.zeros((1, 2)),
        head=jnp.zeros((1, 6)),
        torso=jnp.zeros((1, 6 * len(TORSO_LAGS))),
    )
    deformed, dynamic = model.deformation.init_with_output(
        deformation_key, points, signals, base
    )
    features = jnp.zeros((1, 1, model.grid.levels * model.grid.features))
    static = model.decoder.init(
        decoder_key,
        features,
        jnp.zeros((1, 1, 3)),
        deformed,
        signals,
        base["codes"],
        1,
    )
    shared = {"base": base, "dynamic": dynamic, "static": static}
    if model.encoder:
        e = model.reference_size
        references = References(jnp.zeros((1, e, e, 4)), jnp.zeros((1, 8)))
        shared["encoder"] = model.encoder.init(encoder_key, references)
    if model.voice:
        shared["voice"] = audio2motion.init(model.voice, jax.random.fold_in(key, 4))
    return {
        "shared": shared,
        "identity": identity.init_own(base, identities, model.identity),
    }


def with_predicted_lips(
    model: Model,
    shared: dict,
    signals: Signals,
    audio_windows: Array | None,
    key: Array,
) -> Signals:
    """Signals [B, ...] with lips that the audio encoder predicts, if there is one.

    Args:
      model: modules and sizes.
      shared: parameters that all identities share.
      signals: as tracked.
      audio_windows: [B, W, inputs], see `structs.Batch`.
      key: of the encoder's dropout.
    """
    if not model.voice:
        return signals
    lip, _ = audio2motion.apply(model.voice, shared["voice"], audio_windows, key)
    return signals._replace(lip=lip)


def deform(
    model: Model, params: AvatarParams, points: Array, signals: Signals
) -> Deformed:
    """Moves points [B, Q, 3] of the head frame to the canonical space."""
    return model.deformation.apply(
        params.shared["dynamic"], points, signals, params.identity
    )


def _grid_features(model: Model, params: AvatarParams, points: Array) -> Array:
    """Canonical features of points [B, Q, 3] -> [B, Q, L * C]."""
    low, high = jnp.array(model.sampling.low), jnp.array(model.sampling.high)
    # Cells are cubes: the box's longest side spans the grid's unit cube.
    cube = (points - (low + high) / 2) / jnp.max(high - low) + 0.5
    features = hashgrid.encode(
        params.identity["grid"], cube.reshape(-1, 3).T, model.grid
    )
    return jnp.moveaxis(features, 0, 1).reshape(*points.shape[:-1], -1)


def density(
    model: Model, params: AvatarParams, points: Array, signals: Signals
) -> Array:
    """Density at points of the head frame. [B, Q, 3] -> [B, Q]."""
    deformed = deform(model, params, points, signals)
    features = _grid_features(model, params, deformed.points)
    return model.decoder.apply(
        params.shared["static"],
        features,
        deformed,
        signals,
        params.identity["codes"],
        method=Decoder.density,
    )[0]


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
      key: for random places of the samples; None renders the same twice.
      torso: False leaves out what the torso's gate claims, as peers score heads.

    Returns:
      What the rays see, axes [B, R], and what is known of their samples.
    """
    spec = model.sampling
    near, far = box_interval(rays, jnp.array(spec.low), jnp.array(spec.high))
    distances, widths = sampling.guided_samples(
        params.density_grid, rays, near, far, spec, key
    )
    points = rays.origins[..., None, :] + (
        rays.directions[..., None, :] * distances[..., None]
    )
    frames, count, samples = distances.shape
    deformed = deform(
        model, params, points.reshape(frames, count * samples, 3), signals
    )
    features = _grid_features(model, params, deformed.points)
    sigma, colours = model.decoder.apply(
        params.shared["static"],
        features,
        rays.directions,
        deformed,
        signals,
        params.identity["codes"],
        samples,
    )

    if not torso:
        sigma *= 1 - deformed.gates[..., REGIONS.index("torso")]

    def by_ray(values: Array) -> Array:
        return values.reshape(frames, count, samples, *values.shape[2:])

    weights = sampling.composite_weights(by_ray(sigma), widths)
    rendered = rendering.composite(
        weights,
        by_ray(colours),
        distances,
        by_ray(deformed.gates),
        by_ray(deformed.offsets),
        plate,
        far,
    )
    return rendered, Samples(weights, deformed)
