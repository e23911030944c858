"""The modules and sizes of a model, from a config, and its first parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lokitalk_jax.model import hashgrid, holistic, identity, sampling
from lokitalk_jax.model.canonical import Decoder
from lokitalk_jax.model.deformation import BODY, FACE, TORSO, Deformation
from lokitalk_jax.model.encoder import IdentityEncoder
from lokitalk_jax.model.holistic import HolisticDeformation
from lokitalk_jax.speech import audio2motion, hearing
from lokitalk_jax.structs import EYE_REST, TORSO_LAGS, UNIT, Config, References, Signals

Array = jax.Array


class Model(NamedTuple):
    """Modules and sizes; static, holds no parameters.

    Attributes:
      deformation, decoder: modules.
      identity, sampling: sizes.
      lip_dim: D_lip, coefficients of the lip signal.
      encoder: the identity encoder; None in models of one identity.
      reference_size: E, pixels along a side of the encoder's images.
      residual_dropout: share of the training steps that render an identity as the
        encoder predicts it, without the rest of its residual.
      voice: sizes of the audio encoder that is trained with the model, or None.
    """

    deformation: Deformation | HolisticDeformation
    decoder: Decoder
    identity: identity.IdentitySpec
    sampling: sampling.SamplingSpec
    lip_dim: int
    encoder: IdentityEncoder | None
    reference_size: int
    residual_dropout: float
    voice: audio2motion.Spec | None

    @property
    def grid(self) -> hashgrid.GridSpec:
        """Sizes of the canonical grid."""
        return self.identity.grid

    def reading_levels(self, count: int) -> "Model":
        """The model with features of the `count` leading grid levels, 0 elsewhere."""
        grid = self.grid._replace(active=count if count < self.grid.levels else 0)
        return self._replace(identity=self.identity._replace(grid=grid))


def from_config(config: Config) -> Model:
    """The model of a config, from its sections `model`, `grid`, `scene`, `sampling`.

    Raises:
      ValueError: `model.fields` or `model.compute` is unknown, or an audio encoder that
        is trained with the model takes features from files.
    """
    m = config.model
    if m.compute not in ("float32", "bfloat16"):
        raise ValueError(f"model.compute={m.compute} must be float32 or bfloat16")
    deformation, regions = _deformation(m)
    grid = hashgrid.GridSpec(**config.grid)
    encoder = IdentityEncoder(
        code=m.code,
        hidden=m.deform_hidden,
        regions=regions if m.identity_layers else (),
        offset=m.identity_offset,
        grid=grid,
    )
    return Model(
        deformation=deformation,
        decoder=Decoder(
            width=m.decoder_width, conditioned=m.condition_decoder, compute=m.compute
        ),
        identity=identity.IdentitySpec(
            code=m.code,
            hidden=m.deform_hidden,
            regions=regions,
            layers=m.identity_layers,
            offset=m.identity_offset,
            grid=grid,
        ),
        sampling=sampling.SamplingSpec(
            low=tuple(x / UNIT for x in config.scene.low),
            high=tuple(x / UNIT for x in config.scene.high),
            cells=tuple(config.sampling.cells),
            samples=config.sampling.samples,
            uniform=config.sampling.uniform,
            decay=config.sampling.decay,
        ),
        lip_dim=m.lip_dim,
        encoder=encoder if m.encoder else None,
        reference_size=m.reference_size,
        residual_dropout=m.residual_dropout,
        voice=_voice(config) if config.lips == "encoder" else None,
    )


def _voice(config: Config) -> audio2motion.Spec:
    hears = config.voice.hears
    if hears not in hearing.WIDTHS:
        raise ValueError(
            f"voice.hears={hears} cannot be used with lips=encoder, whose encoder is "
            f"trained on sound; give one of {', '.join(hearing.WIDTHS)}"
        )
    return hearing.spec_of(hears, config.model.lip_dim)


def _deformation(
    m: Config,
) -> tuple[Deformation | HolisticDeformation, tuple[str, ...]]:
    """The module of a config's section `model`, and the regions with last layers."""
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
        raise ValueError(f"model.fields={m.fields} must be regions or holistic")
    fields = Deformation(
        **sizes,
        gate_width=m.gate_width,
        gate_octaves=m.gate_octaves,
        anatomical_gates=m.anatomical_gates,
        cascade=m.face_after_body,
        face_steps=m.face_steps,
    )
    return fields, FACE + BODY + TORSO


def init(model: Model, key: Array, identities: int) -> dict:
    """First parameters.

    Args:
      model: modules and sizes.
      key: random key, shape [].
      identities: N.

    Returns:
      {'shared': ..., 'identity': ...}; the latter are residuals, leaves lead with N.
    """
    base_key, deformation_key, decoder_key = jax.random.split(key, 3)
    base = identity.init_base(base_key, model.identity)
    points = jnp.zeros((1, 1, 3))
    signals = Signals(
        lip=jnp.zeros((1, model.lip_dim)),
        eye=jnp.zeros((1, len(EYE_REST))),
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
        encoder_key = jax.random.fold_in(key, 3)
        shared["encoder"] = model.encoder.init(encoder_key, references)
    if model.voice:
        shared["voice"] = audio2motion.init(model.voice, jax.random.fold_in(key, 4))
    return {
        "shared": shared,
        "identity": identity.init_residuals(base, identities, model.identity),
    }
