"""Density and colour of canonical points (LokiTalk, figure 2: the static network)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from lokitalk_jax.broadcasting import trailing
from lokitalk_jax.model import encodings
from lokitalk_jax.model.deformation import Deformed

Array = jax.Array


class Decoder(nn.Module):
    """Features of the canonical grid to density and colour.

    An opening mouth and a closing eye show surfaces that were hidden, which no
    deformation of points can do. So the density also depends on the gated lip and eye
    signals, unless `conditioned` is off.

    Attributes:
      width: hidden units.
      conditioned: whether the density depends on the lip and eye signals.
      compute: type in which hidden layers compute; parameters, density and colour stay
        float32.
      embedding: hidden units between a signal and the density.
      geometry: G, units passed from density to colour.
      feature_scale: multiplies the grid's features, which start near zero.
    """

    width: int
    conditioned: bool
    compute: str
    embedding: int = 32
    geometry: int = 15
    feature_scale: float = 10.0

    def setup(self):
        """Builds the layers."""
        hidden = functools.partial(nn.Dense, self.width, dtype=self.compute)
        self.from_grid = hidden()
        self.from_geometry_code = hidden(use_bias=False)
        if self.conditioned:
            embed = functools.partial(nn.Dense, self.embedding, dtype=self.compute)
            self.embed_lip, self.embed_eye = embed(), embed()
            self.from_lip = hidden(use_bias=False)
            self.from_eye = hidden(use_bias=False)
        self.density_out = nn.Dense(1 + self.geometry, dtype=jnp.float32)
        self.from_density = hidden()
        self.from_direction = hidden(use_bias=False)
        self.from_appearance_code = hidden(use_bias=False)
        self.colour_hidden = hidden()
        self.colour_out = nn.Dense(3, dtype=jnp.float32)

    def density(self, features: Array, deformed: Deformed, signals, codes: dict):
        """Density and geometry features of points.

        Args:
          features: [B, Q, L * C], from the canonical grid.
          deformed: of the same points.
          signals: `structs.Signals` of the frames, leaves [B, ...].
          codes: the identity's.

        Returns:
          density [B, Q], per unit of `UNIT`, and geometry features [B, Q, G].
        """
        hidden = self.from_grid(self.feature_scale * features)
        hidden += trailing(self.from_geometry_code(codes["geometry"]), hidden)
        if self.conditioned:
            moved = jnp.stack(
                [
                    self.from_lip(nn.relu(self.embed_lip(signals.lip))),
                    self.from_eye(nn.relu(self.embed_eye(signals.eye))),
                ],
                axis=1,
            )
            # A matrix product: XLA's CPU backend reduces the gradient of a broadcast
            # product an order of magnitude slower.
            hidden += deformed.gates[..., :2].astype(self.compute) @ moved
        out = self.density_out(nn.relu(hidden))
        # exp overflows above 88; exp(11) is opaque within a tenth of a millimetre.
        return jnp.exp(jnp.minimum(out[..., 0], 11.0)), out[..., 1:]

    def colour(self, geometry, directions, deformed, codes, samples: int) -> Array:
        """Colour of points.

        Args:
          geometry: [B, R * S, G], from `density`.
          directions: [B, R, 3], of the rays, head frame.
          deformed: of the same points.
          codes: the identity's.
          samples: S.

        Returns:
          [B, R * S, 3] in [0, 1].
        """
        # The light is fixed to the room: where a ray meets the torso, its direction is
        # taken relative to the torso, which does not turn with the head.
        turned = jnp.einsum("bij,brj->bri", deformed.torso_rotation, directions)
        on_head, on_torso = (
            jnp.repeat(encodings.spherical_harmonics(x), samples, axis=1)
            for x in (directions, turned)
        )
        # Colours must not move the torso's gate. Harmonics are mixed before the layer,
        # which is cheaper than mixing its outputs, as no gradient passes through them.
        torso = jax.lax.stop_gradient(deformed.gates[..., 3:])
        harmonics = on_head + torso * (on_torso - on_head)
        hidden = self.from_density(geometry) + self.from_direction(harmonics)
        hidden += trailing(self.from_appearance_code(codes["appearance"]), hidden)
        hidden = nn.relu(self.colour_hidden(nn.relu(hidden)))
        return nn.sigmoid(self.colour_out(hidden))

    def __call__(self, features, directions, deformed, signals, codes, samples: int):
        """Density [B, R * S] and colour [B, R * S, 3]; see `density` and `colour`."""
        density, geometry = self.density(features, deformed, signals, codes)
        return density, self.colour(geometry, directions, deformed, codes, samples)


def thinned(params: dict, powers: float) -> dict:
    """A decoder's parameters with all densities divided by exp(`powers`)."""
    layer = params["params"]["density_out"]
    bias = jnp.asarray(layer["bias"]).at[0].add(-powers)
    return {"params": params["params"] | {"density_out": layer | {"bias": bias}}}
